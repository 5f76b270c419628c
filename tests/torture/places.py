"""What a folder can hold besides files: odd names, links in circles, pipes, sockets, devices,
rights that are missing."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.torture.bases import image, video
from tests.torture.recipes import Recipe, Write

SPARSE_BYTES = 3_000_000_000
DEPTH = 60
_NAMES: dict[str, str] = {
    "quotes": 'it\'s a "clip"',
    "newline": "two\nlines",
    "return": "a\rb\tc",
    "non-ascii": "Straße 東京 ñ",
    "emoji": "🚗🌧️",
    "percent": "%s %d %n %03d {x}",
    "dash": "-rf",
    "option": "--help",
    "glob": "[a]*?{b,c}",
    "colon": "http:a@b",
    "spaces": "  x  ",
    "dollar": "$(touch x) `id` ;&|",
    "backslash": "a\\b\\n",
    "dots": "..x..",
    "right-to-left": "\u202egpj",
    "combining": "e\u0301" * 20,
    "bell": "\x07\x1b[31m",
    "hash": "a#b?c=d&e",
    "equals": "year=2024",
    "null-word": "NULL",
}


def _video(path: Path) -> None:
    path.write_bytes(video("moov-first.mp4"))


def _image(path: Path) -> None:
    path.write_bytes(image("photo.png"))


def _in_folder(write: Write, name: str) -> Write:
    """A good file in a folder; the run is over the folder. For names that no argument can carry."""

    def inside(path: Path) -> Path:
        path.mkdir(exist_ok=True)
        write(path / name)
        return path

    return inside


def _link(target: str) -> Write:
    def write(path: Path) -> None:
        path.symlink_to(target)

    return write


def _circle(path: Path) -> None:
    other = path.with_stem(path.stem + "-back")
    path.symlink_to(other.name)
    other.symlink_to(path.name)


def _folder_with_link(path: Path) -> None:
    path.mkdir()
    _image(path / "one.png")
    (path / "again").symlink_to("..")
    (path / "again.png").symlink_to(".")


def _special(kind: int) -> Write:
    def write(path: Path) -> None:
        os.mknod(path, kind | 0o644)

    return write


def _pipe_as_track(path: Path) -> None:
    _video(path)
    os.mkfifo(path.with_suffix(".gpx"))


def _folder(path: Path) -> None:
    path.mkdir()
    _image(path / "inside.png")


def _without_rights(make: Callable[[Path], Path | None]) -> Write:
    def write(path: Path) -> None:
        make(path)
        path.chmod(0)

    return write


def _sparse(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(SPARSE_BYTES)


def _sparse_end(path: Path) -> None:
    """A video behind very much of nothing, and its index at the end."""
    with path.open("wb") as file:
        file.write(video("moov-first.mp4")[:32])
        file.truncate(SPARSE_BYTES)


def _deep(path: Path) -> Path:
    place = path
    for _ in range(DEPTH):
        place = place / "d"
    place.mkdir(parents=True)
    _image(place / "deep.png")
    return path


def recipes() -> Iterator[Recipe]:
    for label, name in _NAMES.items():
        yield Recipe("odd name", f"{label}.mp4", f"{name}.mp4", _video)
        yield Recipe("odd name", f"{label}.png", f"{name}.png", _image)
    yield Recipe("odd name", "long.mp4", "x" * 251 + ".mp4", _video)
    yield Recipe("odd name", "long.png", "x" * 251 + ".png", _image)
    yield Recipe("odd name", "deep", "deep", _deep)
    for label, name, write_one in (
        ("video", "caf\udce9.mp4", _video),
        ("image", "\udcff\udcfe.png", _image),
    ):
        yield Recipe("name that is no UTF-8", label, label, _in_folder(write_one, name))
    yield Recipe(
        "name that is no UTF-8",
        "folder",
        "folder",
        lambda path: _in_folder(_in_folder(_image, "a.png"), "d\udce9")(path),
    )
    for suffix in ("mp4", "png"):
        kinds: dict[str, dict[str, Write]] = {
            "links that loop": {"itself": _link(f"itself.{suffix}"), "circle": _circle},
            "broken link": {
                "gone": _link(f"nowhere.{suffix}"),
                "through-a-file": _link("/dev/null/x"),
                "empty-device": _link("/dev/null"),
            },
            "unreadable permissions": {
                "file": _without_rights(_video if suffix == "mp4" else _image)
            },
            "no regular file": {
                "pipe": _special(stat.S_IFIFO),
                "socket": _special(stat.S_IFSOCK),
                "endless": _link("/dev/zero"),
                "folder": _folder,
            },
            "3 GB of zeros": {"sparse": _sparse, "sparse-end": _sparse_end},
        }
        for kind, writes in kinds.items():
            for label, write in writes.items():
                yield Recipe(kind, f"{label}.{suffix}", f"{label}.{suffix}", write)
    yield Recipe("links that loop", "folder", "folder", _folder_with_link)
    yield Recipe("unreadable permissions", "folder", "folder", _without_rights(_folder))
    yield Recipe("no regular file", "track.mp4", "track.mp4", _pipe_as_track)
