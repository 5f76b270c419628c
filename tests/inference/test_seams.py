"""An engine and a measure are one file and one row each: `tests.inference.toys` has both."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from segpipe import open_dataset
from tests.footage import make_video

ROOT = Path(__file__).parents[2]


def toys(*arguments: object) -> str:
    """What segpipe with the toys prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.inference.toys", *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("toys")
    video = make_video(folder / "clip.mp4", frames=6)
    settings = [a for s in ("source=fake:", "engine=halves") for a in ("--set", f"model.{s}")]
    toys("run", video, "-o", folder / "out", *settings)
    return folder / "out"


def test_the_engines_labels_are_in_the_dataset(dataset: Path) -> None:
    there = open_dataset(dataset)
    assert there.manifest.model.precision == "int1"
    frame_ids = there.arrow("frames")["frame_id"].to_pylist()
    assert len(frame_ids) == 6
    for frame_id in frame_ids:
        mask = there.mask(frame_id)
        middle = mask.shape[1] // 2
        assert set(np.unique(mask[:, : middle - 4])) == {1}
        assert set(np.unique(mask[:, middle + 4 :])) == {3}


def test_the_measures_columns_are_in_the_dataset(dataset: Path) -> None:
    frames = pq.read_table(open_dataset(dataset).files("frames")[0])
    assert frames.column_names[-5:-3] == ["redness", "labels_seen"]
    assert frames.schema.field("redness").metadata[b"unit"] == b"0 to 255"
    assert all(0 < red < 255 for red in frames["redness"].to_pylist())
    assert frames["labels_seen"].to_pylist() == [2] * 6
    assert frames["usable"].to_pylist() == [True] * 6
    stats = pq.read_table(open_dataset(dataset).files("class_stats")[0])
    whole = stats.filter([region == "frame" for region in stats["region"].to_pylist()])
    assert set(whole["class_share_text"].to_pylist()) == {"50%"}


def test_verify_and_query_know_the_columns(dataset: Path) -> None:
    toys("verify", dataset)
    assert "2" in toys("query", dataset, "SELECT max(labels_seen) AS most FROM frames")


def test_an_unknown_engine_is_refused(
    tmp_path: Path, segpipe: Callable[..., tuple[int, str, str]]
) -> None:
    video = make_video(tmp_path / "clip.mp4", frames=2)
    settings = ("--set", "model.source=fake:", "--set", "model.engine=steam")
    code, _, errors = segpipe("run", video, "-o", tmp_path / "out", *settings)
    assert code == 2, errors
    assert "model.engine: 'steam' is unknown; allowed are torch" in errors
    assert not (tmp_path / "out").exists()
