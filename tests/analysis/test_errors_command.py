"""`segpipe errors`: what failed, by file and reason, transient or permanent, and what to do about
it."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from segpipe.pipeline.retries import MOST_ATTEMPTS
from tests.damage import put, rewrite, stream_dataset, with_record
from tests.footage import make_video, picture

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "-q")


@pytest.fixture
def out(tmp_path: Path, segpipe: Call) -> Path:
    """A dataset with a bad video, two bad photos, and a video of whose frames three are marked as
    failed."""
    footage = tmp_path / "footage"
    (footage / "stills").mkdir(parents=True)
    make_video(footage / "clip.mp4", frames=6)
    (footage / "broken.mp4").write_text("words")
    Image.fromarray(picture(1)).save(footage / "stills" / "a.png")
    for name in ("b.png", "c\x1b[31m.png"):
        (footage / "stills" / name).write_bytes(b"\x89PNG\r\n\x1a\nno more of " + name.encode())
    assert segpipe("run", footage, "-o", tmp_path / "out", *FAKE)[0] == 6
    return tmp_path / "out"


def test_failures_stand_by_file_and_reason(out: Path, segpipe: Call) -> None:
    code, text, _ = segpipe("errors", out)
    assert code == 0
    assert "1 × source, tried once: can't be read as a video" in text
    assert "permanent: repair or remove the file; --retry-failed tries it again" in text
    assert "\x1b" not in text
    assert "c\\x1b[31m.png" in text
    assert text.splitlines()[-1] == "3 failures"
    rows = json.loads(segpipe("errors", out, "--format", "json")[1])
    assert [(Path(r["uri"]).name[:1], r["what"], r["count"], r["error_class"]) for r in rows] == [
        ("b", "source", 1, "permanent"),
        ("b", "frame", 1, "permanent"),
        ("c", "frame", 1, "permanent"),
    ]
    table = list(csv.DictReader(io.StringIO(segpipe("errors", out, "--format", "csv")[1])))
    assert [r["reason"] for r in table] == [r["reason"] for r in rows]
    assert segpipe("errors", out, "--class", "transient")[1] == "nothing failed\n"


def test_transient_failures_are_tried_again(tmp_path: Path, segpipe: Call) -> None:
    (tmp_path / "footage").mkdir()
    os.symlink("nowhere", tmp_path / "footage" / "away.png")  # a file that may come back
    segpipe("run", tmp_path / "footage", "-o", tmp_path / "out", *FAKE)
    (row,) = json.loads(
        segpipe("errors", tmp_path / "out", "--class", "transient", "--format", "json")[1]
    )
    assert (row["count"], row["attempts"], row["todo"]) == (1, 1, "the next run tries again")
    assert segpipe("errors", tmp_path / "out", "--class", "permanent")[1] == "nothing failed\n"


def test_frames_in_a_row_are_one_line(out: Path, segpipe: Call) -> None:
    (path,) = (out / "frames").glob("*-0000*")
    for i in (1, 2, 4):
        for column, value in (
            ("status", "error"),
            ("error", "the decoder gave nothing"),
            ("error_class", "permanent"),
        ):
            rewrite(path, put(column, i, value))
    with_record(path, failed=3, attempt=2)
    code, text, _ = segpipe("errors", out)
    assert (code, "3 × frame (1 to 4), tried 3 times: the decoder gave nothing" in text) == (
        0,
        True,
    )


def test_a_stream_that_was_away_is_a_failure(tmp_path: Path, segpipe: Call) -> None:
    gaps = [
        (10, 20, "lost", "connection refused"),
        (30, 40, "lost", "connection refused"),
        (50, 90, "not running", ""),
    ]
    stream = stream_dataset(tmp_path / "s", [(0, 100)], gaps)
    _, text, _ = segpipe("errors", stream)
    assert "2 × gap (10.00 s to 40.00 s), tried 3 times: lost: connection refused" in text
    assert "this time can't be recorded again" in text
    assert "not running" not in text
    assert "1 × frame (0), tried once: the decoder gave <b>nothing</b>" in text
    assert text.splitlines()[-1] == "3 failures"


def test_what_failed_too_often_is_left(tmp_path: Path, segpipe: Call) -> None:
    stream = stream_dataset(tmp_path / "s", [(0, 100)], [])
    (path,) = (stream / "frames").iterdir()
    with_record(path, attempt=MOST_ATTEMPTS - 1)
    text = segpipe("errors", stream)[1]
    assert f"tried {MOST_ATTEMPTS} times" in text
    assert (
        f"transient: failed {MOST_ATTEMPTS} times and is left now; --retry-failed tries it again"
        in text
    )
