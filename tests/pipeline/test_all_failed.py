"""A run in which every frame failed, and notes that are told once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.footage import make_video

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "-q")
OLD = "the time is the file's modification time"


def test_a_run_whose_frames_all_failed_is_a_failure(tmp_path: Path, segpipe: Call) -> None:
    (tmp_path / "bad.mp4").write_text("words")
    run = ("run", tmp_path, "-o", tmp_path / "out", *FAKE)
    code, printed, errors = segpipe(*run)
    assert code == 1
    assert "1 failed" in printed
    assert (
        errors == "segpipe: the one frame of this run failed; why, and what to do: segpipe errors "
        f"{tmp_path / 'out'}\n"
    )
    code, printed, errors = segpipe(*run)
    assert (code, errors) == (0, "")  # it was tried, and is a row: there is nothing new
    assert "nothing new: 1 frame in the dataset already; no inference was run" in printed
    assert "failed before: 1 of 1 frame; --retry-failed tries again" in printed
    assert f"what failed, and what to do: segpipe errors {tmp_path / 'out'}" in printed
    (tmp_path / "worse.mp4").write_text("worse words")
    make_video(tmp_path / "good.mp4", frames=3)
    code, printed, errors = segpipe(*run)
    assert (code, errors) == (6, "")
    assert "what failed, and what to do: segpipe errors" in printed
    code, _, errors = segpipe(*run, "--retry-failed")
    assert code == 1
    assert "all 2 frames of this run failed" in errors


def test_a_note_is_told_by_the_run_that_finds_it(tmp_path: Path, segpipe: Call) -> None:
    """Else twelve old notes hide the new one, every night."""
    run = ("run", tmp_path / "clips", "-o", tmp_path / "out", *FAKE)
    (tmp_path / "clips").mkdir()
    for number in range(14):
        make_video(tmp_path / "clips" / f"old-{number:02}{'abcdefghijklmn'[number]}.mp4", frames=1)
    first = segpipe(*run)[1]
    assert first.count(OLD) == 12
    assert "and 2 more; segpipe info shows them" in first
    assert "note: " not in segpipe(*run)[1]
    make_video(tmp_path / "clips" / "zz new.mp4", frames=1)
    third = segpipe(*run)[1]
    assert [line for line in third.splitlines() if line.startswith("note: ")] == [
        f"note: zz new.mp4: {OLD}, which a copy may have changed; time.start or time.timezone "
        "can help"
    ]
    assert segpipe("info", tmp_path / "out")[1].count(OLD) == 15


def test_a_note_that_changes_is_told_again(tmp_path: Path, segpipe: Call) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=3)
    run = ("run", clip, "-o", tmp_path / "out", *FAKE)
    assert OLD in segpipe(*run)[1]
    assert OLD not in segpipe(*run)[1]
    code, printed, _ = segpipe(*run, "--set", "time.order=[gps]")
    assert code == 0
    assert "note: clip.mp4: no clock can be used" in printed
