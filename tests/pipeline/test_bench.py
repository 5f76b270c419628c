"""The benchmark measures what it says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmarks.against_plain_script import compare
from tests.footage import make_video

Call = Callable[..., tuple[int, str, str]]


def test_text_and_json(tmp_path: Path, segpipe: Call) -> None:
    video = make_video(tmp_path / "clip.mp4", frames=30)
    code, text, _ = segpipe(
        "bench", video, "--set", "model.source=fake:", "--frames", 20, "--rounds", 1
    )
    assert code == 0
    for word in ("decode", "model", "write", "pipeline / limit = "):
        assert word in text
    found = json.loads(
        segpipe(
            "bench", video, "--set", "model.source=fake:", "--frames", 20, "--rounds", 1, "--json"
        )[1]
    )
    assert found["frames"] == 20
    assert found["frame_size"] == [160, 96]
    cpu = sum(found[s]["cpu_ms"] for s in ("decode", "model", "write"))
    assert found["limit_fps"] == pytest.approx(found["cores"] * 1000 / cpu)
    assert found["of_limit"] == pytest.approx(found["pipeline_fps"] / found["limit_fps"])


def test_labels_equal_the_plain_scripts(clips: Path, tmp_path: Path) -> None:
    """The speed of both is printed by make bench; that the labels are the same is held here."""
    ours, theirs, same = compare(clips / "solidWhiteRight.mp4", 6, 1, tmp_path)
    assert same >= 0.999
    assert ours > 0
    assert theirs > 0
