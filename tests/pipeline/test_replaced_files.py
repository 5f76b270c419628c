"""What takes the place of a file, and what is given up for it: rows of its own beginning and of
what couldn't be read; nothing else, and not before it can be done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from segpipe import open_dataset
from segpipe.pipeline import footage as pipeline_footage
from segpipe.pipeline import prepare
from segpipe.store.address_file import read_addresses
from tests.driving import eastwards, write_gpx
from tests.footage import make_streams, make_video, picture
from tests.pipeline.test_identity import FRAMES, clip, photo, rows, run
from tests.pipeline.test_run import FAKE, snapshot
from tests.pipeline.test_where import TEN, frames_of

Call = Callable[..., tuple[int, str, str]]
START = ("--start", "2026-05-01T10:00:00Z")


def whole_and_half(tmp_path: Path, whole: Path) -> Path:
    """A card with the first half of a recording."""
    card = tmp_path / "card"
    card.mkdir()
    content = whole.read_bytes()
    (card / "0001.ts").write_bytes(content[: len(content) // 2])
    return card / "0001.ts"


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    (tmp_path / "backup").mkdir()
    return make_video(tmp_path / "backup" / "whole.ts", frames=60, size=(320, 192))


def test_what_was_given_by_hand_outlives_a_move(tmp_path: Path, segpipe: Call) -> None:
    out, clip = tmp_path / "out", make_video(tmp_path / "clip.mp4", frames=20)
    track = write_gpx(tmp_path / "x.gpx", TEN, eastwards(10))
    segpipe("run", clip, "-o", out, *FAKE, *START, "--track", track)
    before = frames_of(out)
    track.unlink()
    (tmp_path / "archive").mkdir()
    clip.rename(tmp_path / "archive" / "renamed.mp4")
    for _ in range(2):
        code, printed, _ = segpipe("run", tmp_path / "archive", "-o", out, *FAKE)
        assert (code, "nothing new" in printed) == (0, True)
        pd.testing.assert_frame_equal(frames_of(out), before)
    assert set(before["timestamp_source"]) == {"start"}
    assert before["latitude"].notna().all()


@pytest.mark.parametrize("stream", ["default", "1", "all"])
def test_a_grown_file_inherits_what_was_given_by_hand(
    stream: str, tmp_path: Path, segpipe: Call
) -> None:
    out, flags = tmp_path / "out", (*FAKE, "--set", f"sampling.stream={stream}")
    whole = make_streams(tmp_path / "whole.ts", frames=60, fps=10)
    half = whole_and_half(tmp_path, whole)
    track = write_gpx(tmp_path / "x.gpx", TEN, eastwards(10))
    given = (*START, "--track", track)
    assert segpipe("run", half, "-o", out, *flags, *given)[0] in {0, 6}
    half_done = len(frames_of(out))
    shutil.copy(whole, half)
    fresh = tmp_path / "fresh"
    assert segpipe("run", half, "-o", fresh, *flags, *given)[0] == 0
    track.unlink()
    assert segpipe("run", half.parent, "-o", out, *flags)[0] == 0
    pd.testing.assert_frame_equal(frames_of(out), frames_of(fresh))
    assert set(frames_of(out)["timestamp_source"]) == {"start"}
    assert frames_of(out)["latitude"].notna().all()
    assert len(frames_of(out)) > half_done
    assert len(list((out / "sources").iterdir())) == (2 if stream == "all" else 1)
    assert {a.key for a in read_addresses(out)} == {a.key for a in read_addresses(fresh)}
    assert "nothing new" in segpipe("run", half.parent, "-o", out, *flags)[1]


def test_a_half_is_replaced_by_a_whole_that_is_known_from_elsewhere(
    tmp_path: Path, whole: Path
) -> None:
    out, half = tmp_path / "out", whole_and_half(tmp_path, whole)
    run(half.parent, out=out)
    run(whole.parent, out=out)
    assert len(rows(out)) == 2
    shutil.copy(whole, half)
    assert run(half.parent, out=out).frames == 0
    assert list(rows(out).values()) == [60]


def test_a_half_that_is_still_elsewhere_keeps_its_rows(tmp_path: Path, whole: Path) -> None:
    out, half = tmp_path / "out", whole_and_half(tmp_path, whole)
    shutil.copy(half, half.with_name("0002.ts"))
    run(half.parent, out=out)
    before = rows(out)
    shutil.copy(whole, half)
    assert run(half.parent, out=out).frames == 60
    assert sorted(rows(out).values()) == sorted([*before.values(), 60])


def test_a_link_to_what_is_known_has_no_row_of_its_own(tmp_path: Path) -> None:
    out, card = tmp_path / "out", tmp_path / "card"
    clip(card / "a.mp4")
    photo(card / "a.jpg", 1)
    for name in ("b.mp4", "b.jpg"):
        (card / name).symlink_to(tmp_path / "drive" / name)  # a drive that isn't mounted
    assert run(card, out=out, follow_links=True).failed == 2
    (tmp_path / "drive").mkdir()
    for name in ("a.mp4", "a.jpg"):
        shutil.copy(card / name, tmp_path / "drive" / name.replace("a", "b"))
    assert run(card, out=out, follow_links=True).frames == 0
    assert sorted(rows(out).values()) == [1, FRAMES]


def test_what_is_still_being_written_replaces_nothing_yet(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, card = tmp_path / "out", tmp_path / "card"
    photo(card / "a.png", 1)
    for name in ("b.png", "c.mp4"):
        (card / name).write_text(f"no {name}")
    run(card, out=out)
    before = snapshot(out)
    photo(card / "b.png", 2)
    clip(card / "c.mp4")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline_footage, "unsettled", lambda files, settle_s: list(files))
        (note,) = run(card, out=out).notes
    assert note.startswith("2 files still being written, left for the next run: ")
    assert snapshot(out) == before
    run(card, out=out)
    run(card, out=tmp_path / "fresh")
    assert snapshot(out) == snapshot(tmp_path / "fresh")


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A card with a clip and two photos; another photo has gone after it was done."""
    card = tmp_path / "card"
    clip(card / "clip.mp4")
    for number in range(3):
        photo(card / f"{number}.jpg", number)
    run(card, out=tmp_path / "out")
    (card / "0.jpg").unlink()
    return card


def test_replace_forgets_what_it_has_not_seen(two: Path, tmp_path: Path) -> None:
    out, fresh = tmp_path / "out", tmp_path / "fresh"
    clip(two.parent / "gone" / "clip.mp4", 5)
    run(two.parent / "gone", out=out)
    shutil.rmtree(two.parent / "gone")
    again = {"sampling": {"every_n": 2}}
    run(two, out=out, replace=True, **again)
    run(two, out=fresh, **again)
    assert snapshot(out) == snapshot(fresh)
    seen, wanted = ({(a.source_id, a.key, a.uri) for a in read_addresses(o)} for o in (out, fresh))
    assert seen == wanted
    assert {p.name for p in (out / "sources").iterdir()} == {
        p.name for p in (fresh / "sources").iterdir()
    }


def test_replace_without_footage_is_an_error_before_anything_has_gone(
    two: Path, tmp_path: Path, segpipe: Call
) -> None:
    out = tmp_path / "out"
    before = snapshot(out)
    shutil.rmtree(two)
    flags = ("--set", "sampling.every_n=2", "--replace")
    code, _, errors = segpipe("run", two, "-o", out, *FAKE, *flags)
    assert (code, "no such file or folder" in errors) == (3, True)
    assert snapshot(out) == before
    assert read_addresses(out)


def test_what_another_run_did_meanwhile_is_known(
    two: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that is faster, between this one's look at the dataset and its hold on it."""
    out, copies = tmp_path / "out", tmp_path / "copies"
    photo(two / "new" / "9.jpg", 9)
    copies.mkdir()
    shutil.copy(two / "new" / "9.jpg", copies)
    original = prepare.load_worker
    faster: list[bool] = []

    def load(*arguments: object) -> object:
        if not faster:
            faster.append(True)
            assert run(copies, out=out).frames == 1
        return original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(prepare, "load_worker", load)
    assert run(two, out=out).frames == 0
    assert faster
    assert len(rows(out)) == 3


def test_facts_that_a_killed_run_left_of_what_is_gone_go_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was killed before it noted where the footage was, and the card was used again."""
    out, card = tmp_path / "out", tmp_path / "card"
    clip(card / "0001.mp4")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(prepare, "write_addresses", killed)
        with pytest.raises(KeyboardInterrupt):
            run(card, out=out)
    clip(card / "0001.mp4", 5)
    run(card, out=out)
    assert rows(out) == {p.stem: 5 for p in (out / "sources").iterdir()}


def test_an_image_that_failed_is_tried_again_where_it_lies_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, card = tmp_path / "out", tmp_path / "card"
    photo(card / "good.png", 1)
    Image.fromarray(picture(3)).save(card / "bad.png")
    with monkeypatch.context() as patch:
        from segpipe.inference.models.fake import FakeSegmenter

        def short(self: object, pixels: object) -> object:
            raise MemoryError("allocate memory")

        patch.setattr(FakeSegmenter, "logits", short)
        assert run(card, out=out, follow_links=True).failed == 2
    (tmp_path / "other").mkdir()
    os.rename(card / "bad.png", tmp_path / "other" / "moved.png")
    report = run(tmp_path / "other", out=out)
    assert (report.frames, report.failed) == (1, 0)
    assert run(card, tmp_path / "other", out=out).frames == 1
    assert {r["status"] for r in snapshot(out)["frames"]} == {"ok"}
    names = {
        Path(u).name for u in open_dataset(out).duckdb().sql("SELECT uri FROM frames").df().uri
    }
    assert names == {"good.png", "moved.png"}
