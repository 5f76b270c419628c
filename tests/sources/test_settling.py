"""A file that is still being written is left for the next run; one that stays as it is, is not."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import av
import pytest
from PIL import Image

from segpipe.runtime import stopping
from segpipe.sources import settling
from segpipe.sources.identity import identify
from segpipe.sources.settling import has_index, unsettled
from tests.footage import make_video, picture
from tests.pipeline.test_run import FAKE, snapshot

Call = Callable[..., tuple[int, str, str]]
HERE = (*FAKE, "--set", "read.isolate=false")
LEFT = "1 file still being written, left for the next run: "
SETTLE_S = 0.3
WAIT = settling.wait


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch, settled: None) -> list[float]:
    """A run waits as it does outside of tests; the seconds for which it was to."""
    asked: list[float] = []
    monkeypatch.setattr(settling, "wait", lambda s: asked.append(s) or WAIT(s))
    return asked


def aged(path: Path, seconds: float = 3600) -> Path:
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


def without_index(path: Path) -> Path:
    """An MP4 as a camera leaves it before it has closed it."""
    data = make_video(path, frames=20).read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])
    return path


def left(*paths: Path, settle_s: float = SETTLE_S) -> list[Path]:
    return [f.path for f in unsettled([identify(p) for p in paths], settle_s)]


@contextmanager
def written_to(path: Path) -> Iterator[None]:
    """A camera that writes to a file all the while."""
    ended = threading.Event()

    def write() -> None:
        while not ended.wait(0.02):
            with path.open("ab") as file:
                file.write(bytes(1000))

    camera = threading.Thread(target=write)
    camera.start()
    try:
        yield
    finally:
        ended.set()
        camera.join()


def test_a_file_that_somebody_writes_to_is_left(
    tmp_path: Path, segpipe: Call, waits: list[float]
) -> None:
    card, out = tmp_path / "card", tmp_path / "out"
    card.mkdir()
    aged(make_video(card / "done.ts", frames=5))
    growing = make_video(card / "growing.ts", frames=5)
    flags = (*HERE, "--set", f"identity.settle_s={SETTLE_S}")
    with written_to(growing):
        code, printed, _ = segpipe("run", card, "-o", out, *flags)
    assert (code, f"note: {LEFT}growing.ts\n" in printed) == (0, True)
    assert {Path(r["uri"]).name for r in snapshot(out)["frames"]} == {"done.ts"}
    assert waits
    make_video(growing, frames=5)
    code, printed, _ = segpipe("run", card, "-o", out, *flags)
    assert (code, "still being written" in printed) == (0, False)
    assert len(snapshot(out)["frames"]) == 10


def test_only_young_files_are_waited_for_and_all_of_them_at_once(
    tmp_path: Path, waits: list[float]
) -> None:
    old, young, younger = (tmp_path / name for name in ("old.ts", "young.ts", "younger.ts"))
    for path, age_s in ((old, 5), (young, 0.2), (younger, 0.1)):
        path.write_bytes(b"content")
        aged(path, age_s)
    assert not left(old)
    assert not waits
    assert not left(old, young, younger)
    (wait,) = waits
    assert 0 < wait <= SETTLE_S - 0.1
    waits.clear()
    assert not left(young, settle_s=0)
    assert not waits


def test_a_clock_that_is_ahead_is_waited_for_no_longer(tmp_path: Path, waits: list[float]) -> None:
    """A network drive's by seconds; a camera's by years, whose files are as old as any."""
    clip = tmp_path / "clip.ts"
    clip.write_bytes(b"content")
    with written_to(clip):
        assert left(aged(clip, -5)) == [clip]
    assert waits == [SETTLE_S]
    assert not left(aged(clip, -1e7))
    assert waits == [SETTLE_S]


def test_a_run_that_is_to_end_waits_no_more(tmp_path: Path, waits: list[float]) -> None:
    (tmp_path / "clip.ts").write_bytes(b"content")
    begun = time.monotonic()
    stopping.STOP.set()
    try:
        left(tmp_path / "clip.ts", settle_s=30)
    finally:
        stopping.STOP.clear()
    assert time.monotonic() - begun < 10


def test_a_file_that_vanishes_meanwhile_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = tmp_path / "clip.ts"
    clip.write_bytes(b"content")
    monkeypatch.setattr(settling, "wait", lambda seconds: clip.unlink())
    assert left(clip) == [clip]


def test_a_film_without_its_index_is_left_while_it_is_young(tmp_path: Path, segpipe: Call) -> None:
    card, out = tmp_path / "card", tmp_path / "out"
    card.mkdir()
    good, cut = make_video(card / "good.mp4", frames=5), without_index(card / "cut.mp4")
    code, printed, _ = segpipe("run", card, "-o", out, *HERE)
    assert (code, f"note: {LEFT}cut.mp4\n" in printed) == (0, True)
    assert {r["uri"] for r in snapshot(out)["frames"]} == {str(good)}
    aged(cut)
    code, printed, _ = segpipe("run", card, "-o", out, *HERE)
    assert (code, "still being written" in printed) == (1, False)  # nothing else was to do
    (failed,) = [r for r in snapshot(out)["frames"] if r["status"] == "error"]
    assert failed["uri"] == str(cut)
    make_video(cut, frames=5)
    assert segpipe("run", card, "-o", out, *HERE)[0] == 0
    assert {r["status"] for r in snapshot(out)["frames"]} == {"ok"}


def test_a_film_that_is_left_is_done_once_it_is_whole(tmp_path: Path, segpipe: Call) -> None:
    clip, out = tmp_path / "clip.mp4", tmp_path / "out"
    without_index(clip)
    code, printed, _ = segpipe("run", clip, "-o", out, *HERE)
    assert (code, f"{LEFT}clip.mp4" in printed) == (0, True)
    make_video(clip, frames=20)
    assert segpipe("run", clip, "-o", out, *HERE)[0] == 0
    assert len(snapshot(out)["frames"]) == 20


@pytest.mark.parametrize("options", [{}, {"movflags": "faststart"}, {"movflags": "frag_keyframe"}])
@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_films_with_their_index_before_or_after_the_pictures_or_in_parts(
    name: str, options: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / name
    with av.open(str(path), "w", options=options) as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(picture(number), format="rgb24")
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert has_index(path)
    assert not left(path)


@pytest.mark.parametrize("name", ["a.mkv", "a.avi", "a.ts", "a.webm", "a.jpg", "a.heic", "a.avif"])
def test_other_files_have_no_such_index(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if name.endswith((".heic", ".avif")):
        brand = b"heic" if name.endswith(".heic") else b"avif"
        path.write_bytes(box(b"ftyp", brand + bytes(8)) + box(b"meta", bytes(50)))
    elif name.endswith(".jpg"):
        Image.fromarray(picture(1)).save(path)
    else:
        make_video(path, "libvpx" if name.endswith(".webm") else "libx264", frames=5)
    data = path.read_bytes()
    for length in (len(data), len(data) // 2, 12):
        path.write_bytes(data[:length])
        assert has_index(path)


def box(kind: bytes, content: bytes = b"", length: int | None = None) -> bytes:
    return (8 + len(content) if length is None else length).to_bytes(4, "big") + kind + content


FTYP, MOOV = box(b"ftyp", b"isom" + bytes(8)), box(b"moov", bytes(20))
WIDE_MDAT = box(b"mdat", (36).to_bytes(8, "big") + bytes(20), length=1)  # its length is after it


@pytest.mark.parametrize(
    ("content", "whole"),
    [
        (FTYP + MOOV, True),
        (MOOV, True),
        (FTYP + box(b"wide") + box(b"mdat", bytes(99)) + MOOV, True),
        (FTYP + WIDE_MDAT + MOOV, True),
        (FTYP + box(b"beam", bytes(9)) + box(b"free") + MOOV, True),  # a box of the maker's own
        (FTYP + box(b"moof", bytes(9)), True),
        (box(b"styp", bytes(8)) + box(b"moof", bytes(9)), True),  # a part of a film
        (box(b"mdat", bytes(99)), False),
        (FTYP, False),
        (FTYP + box(b"mdat", bytes(99), length=10_000), False),
        (FTYP + box(b"mdat", bytes(99), length=0) + MOOV, False),  # to the end of the file
        (FTYP + WIDE_MDAT, False),
        (FTYP + box(b"mdat", bytes(99)) + bytes(500), False),  # room that was set aside
        (FTYP + box(b"free", length=3) + MOOV, False),
        (FTYP + MOOV[:6], False),
        (FTYP + box(b"mdat", bytes(8), length=1) + MOOV, False),  # a length of nothing
        (b"", True),
        (b"\0\0\0", True),
        (b"GoPro or whoever", True),
    ],
)
def test_boxes(content: bytes, whole: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(content)
    assert has_index(path) == whole


def test_boxes_that_never_end_are_given_up(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(FTYP + box(b"free") * 100_000)
    assert has_index(path)
    assert has_index(tmp_path / "gone.mp4")


def test_a_file_that_takes_no_room(tmp_path: Path) -> None:
    """Gigabytes that a camera set aside and hasn't written: left while it is young, and no film
    afterwards."""
    path = tmp_path / "a.mp4"
    path.write_bytes(FTYP)
    os.truncate(path, 1 << 40)
    assert left(path) == [path]
    assert not left(aged(path))
