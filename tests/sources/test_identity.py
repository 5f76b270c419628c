"""What a file is, by what is known: the content decides; path, size and time only save reading."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from segpipe.core.text import printable_text
from segpipe.sources import identity, same_content
from segpipe.sources.discovery import discover
from segpipe.sources.fingerprint import fingerprint, path_key, whole_digest
from segpipe.sources.identity import identify, what_changed
from segpipe.sources.known_files import FoundFile, FoundSoFar, KnownFile
from segpipe.sources.places import path_at, resolved
from segpipe.sources.video.names import video_info
from tests.footage import make_video, picture
from tests.pipeline.test_run import FAKE

SIZE = 2_000_000
BETWEEN = 100_000
"""A byte of such a file that is in none of its blocks."""


class Known:
    """What a dataset would know, the latest first."""

    def __init__(self, *files: KnownFile) -> None:
        self.files = files

    def at(self, uri: str) -> KnownFile | None:
        return next((f for f in self.files if f.uri == uri), None)

    def with_key(self, key: str) -> list[KnownFile]:
        return [f for f in self.files if f.key.partition("x")[0] == key]

    def in_folder(self, folder: str) -> str:
        return next((f.source_id for f in self.files if f.uri.startswith(f"{folder}/")), "")

    def below(self, place: str) -> bool:
        return any(f.uri == place or f.uri.startswith(f"{place}/") for f in self.files)


def known_as(found: FoundFile, **changes: object) -> KnownFile:
    """A file as a run notes it."""
    uri = printable_text(str(found.path))
    size, mtime = found.size_bytes, found.mtime_ns
    one = KnownFile(found.key, found.key, uri, size, mtime, found.body, found.digest)
    return replace(one, **changes)  # type: ignore[arg-type]


def write(path: Path, content: bytes, age_s: float = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (1.7e9 - age_s, 1.7e9 - age_s))
    return path


@pytest.fixture
def content() -> bytearray:
    return bytearray(np.random.default_rng(0).bytes(SIZE))


@pytest.fixture
def clip(tmp_path: Path, content: bytearray) -> Path:
    return write(tmp_path / "card" / "0001.ts", content)


def test_a_file_of_which_nothing_is_known_is_new(clip: Path) -> None:
    found = identify(clip)
    print_ = fingerprint(clip, SIZE)
    assert (found.how, found.key, found.body) == ("new", print_.key, print_.body)
    assert (found.source_id, found.digest, found.replaces) == ("", "", None)
    assert identify(clip, full=True).digest == whole_digest(clip)


def test_what_is_known_is_not_read(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    known = Known(known_as(identify(clip), source_id="s"))

    def read(*_: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr(identity, "fingerprint", read)
    monkeypatch.setattr(same_content, "whole_digest", read)
    for full in (False, True):
        found = identify(clip, known, full)
        assert (found.how, found.source_id) == ("known", "s")


def test_another_time_and_the_same_content_is_touched(clip: Path) -> None:
    before = identify(clip)
    known = Known(known_as(before))
    os.utime(clip, (1.6e9, 1.6e9))
    found = identify(clip, known)
    assert (found.how, found.key, found.mtime_ns) == ("touched", before.key, 1_600_000_000 * 10**9)


@pytest.mark.parametrize("gone", [True, False])
def test_a_known_content_at_another_place_has_moved(gone: bool, clip: Path, tmp_path: Path) -> None:
    before = identify(clip)
    other = write(tmp_path / "archive" / "night.ts", clip.read_bytes(), age_s=50)
    if gone:
        clip.unlink()
    found = identify(other, Known(known_as(before, source_id="s")))
    assert (found.how, found.key, found.source_id) == ("moved", before.key, "s")
    assert found.replaces is None


def test_a_file_that_begins_with_what_was_there_has_grown(clip: Path, content: bytearray) -> None:
    write(clip, content[: SIZE // 2])
    before = known_as(identify(clip))
    content[4:8] = b"long"  # where a container notes its length
    write(clip, content)
    found = identify(clip, Known(before))
    assert (found.how, found.replaces) == ("grown", before)
    assert found.key == fingerprint(clip, SIZE).key != before.key


@pytest.mark.parametrize("size", [SIZE // 2, SIZE, 2 * SIZE])
def test_another_content_at_a_known_path_is_another_recording(size: int, clip: Path) -> None:
    before = known_as(identify(clip))
    write(clip, np.random.default_rng(1).bytes(size), age_s=9)
    found = identify(clip, Known(before))
    assert (found.how, found.source_id, found.replaces) == ("another", "", None)


@pytest.mark.parametrize("size", [SIZE // 2, SIZE, 2 * SIZE])
def test_what_nothing_could_be_read_of_is_replaced(size: int, clip: Path) -> None:
    before = known_as(identify(clip), hopeless=True)
    write(clip, np.random.default_rng(1).bytes(size), age_s=9)
    found = identify(clip, Known(before))
    assert (found.how, found.replaces) == ("replaced", before)


def test_a_known_content_in_the_place_of_a_hopeless_one_replaces_it(
    clip: Path, tmp_path: Path
) -> None:
    hopeless = known_as(identify(clip), hopeless=True)
    other = identify(write(tmp_path / "archive" / "0002.ts", b"another"))
    write(clip, b"another", age_s=9)
    found = identify(clip, Known(hopeless, known_as(other, source_id="s")))
    assert (found.how, found.source_id, found.replaces) == ("moved", "s", hopeless)


@pytest.mark.parametrize("why", ["empty", "gone"])
def test_a_file_without_content_goes_by_its_path(why: str, tmp_path: Path) -> None:
    path = tmp_path / "0001.ts"
    if why == "empty":
        path.touch()
    found = identify(path)
    assert (found.how, found.key, found.body) == ("new", path_key(path), "")
    other = path.with_name("0002.ts")
    assert identify(other).key != found.key


def unreadable(monkeypatch: pytest.MonkeyPatch) -> None:
    def read(*_: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(identity, "fingerprint", read)
    monkeypatch.setattr(same_content, "whole_digest", read)


def test_a_known_file_that_cannot_be_read_is_what_it_was(
    clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = known_as(identify(clip), source_id="s")
    os.utime(clip, (1.6e9, 1.6e9))
    with monkeypatch.context() as patch:
        unreadable(patch)
        found = identify(clip, Known(before))
    assert (found.how, found.key, found.source_id) == ("away", before.key, "s")
    write(clip, b"")
    assert identify(clip, Known(before)).how == "away"
    clip.unlink()
    assert identify(clip, Known(before)).how == "away"


@pytest.mark.parametrize("hopeless", [True, False])
def test_a_file_that_went_by_its_path_goes_by_its_content_once_it_can_be_read(
    hopeless: bool, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether or not its frames could be read after all: otherwise they would count twice when it
    moves."""
    with monkeypatch.context() as patch:
        unreadable(patch)
        before = known_as(identify(clip), hopeless=hopeless)
        assert before.key == path_key(clip)
        assert identify(clip, Known(before)).how == "known"
    found = identify(clip, Known(before))
    assert (found.how, found.replaces) == ("replaced", before)
    assert found.key == fingerprint(clip, SIZE).key


def test_a_digest_that_cannot_be_taken_is_no_crash(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad sector between the blocks, say."""
    before = known_as(identify(clip))
    other = write(tmp_path / "0001.ts", clip.read_bytes(), age_s=5)
    original = whole_digest

    def read(path: Path) -> str:
        if path == other:
            raise OSError(5, "Input/output error")
        return original(path)

    monkeypatch.setattr(same_content, "whole_digest", read)
    assert identify(other, Known(before)).key == path_key(other)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("age_s", [0, 50])
def test_files_of_one_fingerprint(
    full: bool, age_s: float, clip: Path, content: bytearray, tmp_path: Path
) -> None:
    """Told apart by a digest where their times differ or `full` says so; otherwise one."""
    first = identify(clip, full=full)
    known = Known(known_as(first, source_id="s"))
    content[BETWEEN] ^= 1
    other = write(tmp_path / "other.ts", content, age_s)
    found = identify(other, known, full)
    if full or age_s:
        assert (found.how, found.source_id) == ("new", "")
        assert found.key == f"{first.key}x{whole_digest(other)[:8]}"
        again = identify(other, Known(known_as(found), *known.files), full)
        assert (again.how, again.key) == ("known", found.key)
        third = write(tmp_path / "third.ts", content, 99)
        moved = identify(third, Known(*known.files, known_as(found)), full)
        assert (moved.how, moved.key) == ("moved", found.key)
    else:
        assert (found.how, found.key) == ("moved", first.key)


def test_a_known_file_that_has_gone_is_told_by_its_digest_where_that_was_taken(
    clip: Path, content: bytearray, tmp_path: Path
) -> None:
    whole, quick = (known_as(identify(clip, full=full)) for full in (True, False))
    clip.unlink()
    content[BETWEEN] ^= 1
    other = write(tmp_path / "other.ts", content, age_s=50)
    assert identify(other, Known(whole)).how == "new"
    assert identify(other, Known(quick)).how == "moved"  # nobody can tell any more


def test_what_was_found_in_this_run_is_known_to_the_rest_of_it(
    clip: Path, content: bytearray, tmp_path: Path
) -> None:
    copy = write(tmp_path / "copy.ts", content, age_s=7)
    content[BETWEEN] ^= 1
    other = write(tmp_path / "other.ts", content, age_s=8)
    found = FoundSoFar(Known())
    for path, same in ((clip, True), (copy, True), (other, False)):
        file = identify(path, found)
        found.add(file)
        assert (file.key == identify(clip).key) == same
    assert len(found.with_key(identify(clip).key)) == 3
    assert found.at(str(clip)) is None
    assert not found.below(str(tmp_path))


def test_copies_count_once_and_the_known_one_counts(clip: Path, content: bytearray) -> None:
    folder = clip.parent
    write(folder / "0000.ts", content)
    write(folder / "0002.ts", b"another")
    for known, counts in ((Known(), "0000.ts"), (Known(known_as(identify(clip))), "0001.ts")):
        found = discover([str(folder)], known)
        assert {s.path.name for s in found.sources} == {counts, "0002.ts"}
        ((copy, original),) = found.copies
        assert {copy.path.name, original.path.name} == {"0000.ts", "0001.ts"}
        assert original.path.name == counts
        assert len(found.files) == 2


EVENING, NIGHT = "20251026_020000.ts", "20251026_021005.ts"


@pytest.mark.parametrize(
    ("first", "second", "recordings"),
    [
        (EVENING, NIGHT, 2),
        ("2026-05-01T14-30-22Z.ts", "2026-05-01 02.30.22 PM.ts", 2),  # another zone, perhaps
        (EVENING, "20251026_020000 (1).ts", 1),
        (EVENING, "backup.ts", 1),
        ("0001.ts", "0002.ts", 1),
    ],
)
def test_same_bytes_under_names_of_two_times_are_two_recordings(
    first: str, second: str, recordings: int, tmp_path: Path, content: bytearray
) -> None:
    for name in (first, second):
        write(tmp_path / name, content)
    found = discover([str(tmp_path)])
    assert len(found.files) == len({f.key for f in found.files}) == recordings
    assert len(found.copies) == 2 - recordings
    known = Known(*(known_as(f) for f in found.files))
    again = discover([str(tmp_path)], known)
    assert [f.key for f in again.files] == [f.key for f in found.files]


def test_two_recordings_of_the_same_bytes_move_together(tmp_path: Path, content: bytearray) -> None:
    for name in (EVENING, NIGHT):
        write(tmp_path / "card" / name, content)
    before = {f.path.name: f.key for f in discover([str(tmp_path / "card")]).files}
    known = Known(*(known_as(f) for f in discover([str(tmp_path / "card")]).files))
    (tmp_path / "card").rename(tmp_path / "archive")
    for order in (known, Known(*reversed(known.files))):
        found = discover([str(tmp_path / "archive")], order).files
        assert {f.path.name: f.key for f in found} == before
        assert {f.how for f in found} == {"moved"}


def test_a_file_whose_name_gets_another_time_is_renamed_while_no_other_has_its_content(
    tmp_path: Path, content: bytearray
) -> None:
    """The camera's clock was wrong, say, and the user put the names right."""
    clip = write(tmp_path / EVENING, content)
    before = identify(clip)
    clip = clip.rename(tmp_path / NIGHT)
    found = identify(clip, Known(known_as(before)))
    assert (found.how, found.key) == ("moved", before.key)


def test_two_recordings_of_the_same_bytes_are_renamed_one_by_one(
    tmp_path: Path, content: bytearray
) -> None:
    for name in (EVENING, NIGHT):
        write(tmp_path / name, content)
    known = Known(*(known_as(f) for f in discover([str(tmp_path)]).files))
    for old, new in ((EVENING, "20251026_010000.ts"), (NIGHT, "20251026_011005.ts")):
        (tmp_path / old).rename(tmp_path / new)
    found = discover([str(tmp_path)], known)
    assert {f.key for f in found.files} == {f.key for f in known.files}
    assert {f.how for f in found.files} == {"moved"}
    assert found.copies == ()


def test_what_lay_there_before_stays_where_it_is_still_elsewhere(
    clip: Path, content: bytearray
) -> None:
    write(clip, content[: SIZE // 2])
    before = known_as(identify(clip))
    write(clip, content)
    assert discover([str(clip.parent)], Known(before)).replaced() == [before]
    write(clip.with_name("0002.ts"), content[: SIZE // 2])
    assert discover([str(clip.parent)], Known(before)).replaced() == []


def test_images_keep_their_source_wherever_they_lie(tmp_path: Path) -> None:
    card = tmp_path / "card"
    images = [write(card / f"{n}.jpg", bytes([n] * 99)) for n in range(3)]
    (source,) = discover([str(card)]).sources
    assert source.info.source_id == f"images-{identify(images[0]).key}"
    assert [f.name for f in source.files] == [identify(p).key for p in images]
    known = Known(*(known_as(identify(p), source_id=source.info.source_id) for p in images))
    place = card.rename(tmp_path / "archive")
    write(place / "new.jpg", b"new")
    (found,) = discover([str(place)], known).sources
    assert found.info.source_id == source.info.source_id
    assert (found.path, len(found.files)) == (place, 4)


def test_what_has_become_of_a_file_since_it_was_planned(clip: Path) -> None:
    found = identify(clip)
    then = found.stamp
    assert what_changed(then, found.key) == ""
    os.utime(clip, (1.6e9, 1.6e9))
    assert what_changed(then, found.key) == what_changed(then, f"{found.key}x0123abcd") == ""
    write(clip, b"another")
    assert what_changed(then, found.key) == "holds another recording now"
    clip.unlink()
    assert what_changed(then, found.key) == "is missing"


def test_a_name_that_is_no_utf_8_is_known_again(tmp_path: Path, content: bytearray) -> None:
    path = tmp_path / os.fsdecode(b"gr\xfc\xdf.ts")
    try:
        write(path, content)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    found = identify(path)
    known = known_as(found)
    assert known.uri.endswith(r"gr\xfc\xdf.ts")
    assert identify(path, Known(known)).path == path
    assert identify(path, Known(known)).how == "known"
    assert path_at(known.uri) == path
    assert what_changed(replace(found.stamp, uri=known.uri), found.key) == ""
    content[BETWEEN] ^= 1
    other = write(tmp_path / "other.ts", content, age_s=50)
    assert identify(other, Known(known)).how == "new"  # it was compared with what lies there
    plain = write(tmp_path / r"gr\xfc\xdf.ts", b"as it is written")
    assert path_at(str(plain)) == plain


def test_footage_of_odd_names_is_done_once_and_compared(
    tmp_path: Path, segpipe: Callable[..., tuple[int, str, str]]
) -> None:
    card, out = tmp_path / "card", tmp_path / "out"
    card.mkdir()
    clip = make_video(card / "plain.mp4", frames=5)
    photo = cv2.imencode(".png", picture(1))[1].tobytes()
    try:
        clip = clip.rename(card / os.fsdecode(b"gr\xfc\xdf.mp4"))
        write(card / os.fsdecode(b"gr\xfc\xdf.png"), photo)
    except OSError:
        pytest.skip("this file system takes UTF-8 only")
    assert segpipe("run", card, "-o", out, *FAKE)[0] == 0
    code, printed, _ = segpipe("run", card, "-o", out, *FAKE)
    assert (code, "nothing new: 6 frames" in printed) == (0, True)
    code, printed, _ = segpipe("verify", out, "--footage")
    assert (code, "no longer there" in printed) == (0, False)


def test_links_that_loop_are_no_crash(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").symlink_to("b.mp4")
    (tmp_path / "b.mp4").symlink_to("a.mp4")
    loop = tmp_path / "a.mp4"
    assert resolved(loop) == loop
    assert identify(loop).key == path_key(loop)
    assert video_info(loop).source_id == path_key(loop)
    assert resolved(Path("/a\0b")) == Path("/a\0b")
