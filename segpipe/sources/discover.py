"""From what the user named to the sources behind it: videos, and folders of images."""

from __future__ import annotations

import errno
import glob
import logging
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from segpipe.errors import SourceError
from segpipe.secrets import redact
from segpipe.text import printable_text

log = logging.getLogger(__name__)
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".tif", ".tiff", ".bmp"})
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".mkv", ".avi", ".ts", ".mts", ".m2ts", ".webm", ".mpg", ".mpeg", ".3gp", ".insv", ".360"}
)


IGNORE = ".segpipeignore"
"""A folder that holds a file of this name is no footage."""
_SPECIAL = {stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device"}


@dataclass(frozen=True, slots=True)
class Footage:
    """Resolved paths: the videos, and the image files by the folder they lie in. Sorted, each once."""

    videos: tuple[Path, ...]
    images: dict[Path, tuple[Path, ...]]


@dataclass
class _Found:
    videos: set[Path] = field(default_factory=set)
    images: dict[Path, set[Path]] = field(default_factory=dict)

    def add(self, path: Path) -> bool:
        suffix = path.suffix.lower()
        if suffix in VIDEO_SUFFIXES:
            self.videos.add(path.resolve())
        elif suffix in IMAGE_SUFFIXES:
            # The folder is resolved, not the file: a linked image keeps the name and the place that the user gave it.
            folder = path.parent.resolve()
            self.images.setdefault(folder, set()).add(folder / path.name)
        else:
            return False
        return True


def discover(inputs: tuple[str, ...] | list[str]) -> Footage:
    """Find the footage behind files, folders (recursively) and globs; the case of an extension doesn't matter.

    Hidden files and folders are passed over, and so are folders below with a file `.segpipeignore`. Raises SourceError for a path
    that doesn't exist, a file that is neither image nor video, a pipe, a glob without a match, and a folder in which there is
    nothing to do.
    """
    found = _Found()
    for text in inputs:
        for path in _expand(text):
            if os.path.isdir(path):
                seen = [found.add(file) for file in _walk(path)]
                if not any(seen):
                    raise SourceError(f"{path}: no images or videos in this folder ({len(seen)} other files); {_known()}")
            elif special := _special(path):
                raise SourceError(f"{path}: {special} and no file; name a file, a folder or a pattern")
            elif not found.add(path):
                raise SourceError(f"{path}: neither an image nor a video by its extension; {_known()}")
    images = {folder: tuple(sorted(files)) for folder, files in sorted(found.images.items())}
    return Footage(tuple(sorted(found.videos)), images)


def _expand(text: str) -> list[Path]:
    if not text.strip():
        raise SourceError("an input is empty: name a file, a folder or a pattern")
    try:
        path = Path(text).expanduser()
        if path.exists():
            return [path]
    except (OSError, RuntimeError) as error:  # a name that is too long, a home that doesn't exist
        raise SourceError(f"{text[:200]}: no such file or folder ({error})") from None
    if any(c in text for c in "*?["):
        matches = [Path(m) for m in sorted(glob.glob(str(path), recursive=True))]
        known = [m for m in matches if os.path.isdir(m) or (_by_name(m) and _is_readable_kind(m))]
        if known:
            return known
        raise SourceError(f"{text}: the pattern matches no image, video or folder ({len(matches)} other files)")
    if "://" in text:
        raise SourceError(f"{redact(text)}: only local files and folders can be read; copy the footage here first")
    raise SourceError(f"{text}: no such file or folder")


def _walk(folder: Path) -> Iterator[Path]:
    """Every visible file below a folder, in order. Linked folders are not entered: they may lead in circles."""

    def tell(error: OSError) -> None:
        log.warning("%s: this folder can't be read (%s) and is passed over", error.filename, error.strerror)

    for place, folders, files in os.walk(folder, onerror=tell):
        if IGNORE in files and Path(place) != folder:  # who names it wants it
            folders.clear()
            continue
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        paths = (Path(place) / f for f in sorted(files) if not f.startswith("."))
        yield from (p for p in paths if not _by_name(p) or _is_readable_kind(p))


def _by_name(path: Path) -> bool:
    return path.suffix.lower() in VIDEO_SUFFIXES | IMAGE_SUFFIXES


def _is_readable_kind(path: Path) -> bool:
    """Whether a file that was found, not named, is one to open; what isn't must not end the job, and is told."""
    special = _special(path)
    if special:
        log.warning("%s: %s and no file; it is passed over", printable_text(str(path)), special)
    return not special


def _special(path: Path) -> str:
    """What a path is where it is no file to read: opening a pipe waits for ever, and a device may have no end. Empty for a file,
    and for a link to nothing, which is an error of its own row."""
    try:
        return _SPECIAL.get(stat.S_IFMT(os.stat(path).st_mode), "")
    except OSError as error:
        return "a link that leads in a circle" if error.errno == errno.ELOOP else ""


def _known() -> str:
    return f"known are {' '.join(sorted(IMAGE_SUFFIXES))} and {' '.join(sorted(VIDEO_SUFFIXES))}"
