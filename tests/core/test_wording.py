"""Counts agree with their nouns in what people read."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from html import unescape
from pathlib import Path

from segpipe.core.text import counted
from tests.driving import eastwards, write_gpx
from tests.footage import make_video
from tests.wording import disagreeing

Call = Callable[..., tuple[int, str, str]]


def test_a_count_agrees_with_its_noun() -> None:
    assert [counted(n, "frame") for n in (0, 1, 2)] == ["0 frames", "1 frame", "2 frames"]
    assert [counted(n, "fix", "fixes") for n in (1, 2)] == ["1 fix", "2 fixes"]
    said = "1 frames, 1 ok frames, 1 of 1 frames; 1 frame; 11 frames; 2.1 frames"
    assert disagreeing(said) == ["1 frames", "1 ok frames", "1 frames"]


def test_a_dataset_of_one_frame_is_described_in_the_singular(tmp_path: Path, segpipe: Call) -> None:
    footage = tmp_path / "footage"
    footage.mkdir()
    make_video(footage / "clip.mp4", frames=1)
    ten = datetime(2026, 5, 1, 10, tzinfo=UTC)
    write_gpx(footage / "clip.gpx", ten, eastwards(1))
    out, page = tmp_path / "out", tmp_path / "report.html"
    run = ("run", footage, "-o", out, "--set", "model.source=fake:", "-q")
    start = ("--set", f"time.start={ten.isoformat()}")
    said = [*segpipe(*run), *segpipe(*run), *segpipe(*run, *start)]
    said += [*segpipe("info", out), *segpipe("verify", out, "--footage")]
    said += [*segpipe("report", out, "-o", page)]
    text = "\n".join(str(part) for part in said)
    assert "1 frame in 1 shard" in text
    assert "1 fix" in text
    assert "positions of 1 row" in text
    assert not disagreeing(text)
    shown = " ".join(
        re.sub(r"<style>.*?</style>|<[^>]*>", " ", page.read_text(), flags=re.S).split()
    )
    assert "1 frame expected" in shown
    assert not disagreeing(unescape(shown))
