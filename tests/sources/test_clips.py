"""Real footage: rows, times and masks compared with PyAV's own reading of every clip."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from segpipe import open_dataset
from tests.footage import decoded

CLIPS = ["solidWhiteRight.mp4", "max-heromode.mp4"]
Call = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("name", CLIPS)
def test_rows_times_and_masks_of_a_clip(
    name: str, clips: Path, tmp_path: Path, segpipe: Call
) -> None:
    out = tmp_path / "out"
    assert (
        segpipe(
            "run",
            clips / name,
            "-o",
            out,
            "--set",
            "model.source=fake:",
            "--set",
            "store.frames_per_shard=50",
            "-q",
        )[0]
        == 0
    )
    truth = decoded(clips / name)
    dataset = open_dataset(out)
    frames = dataset.arrow("frames").sort_by("frame_index")
    assert frames["frame_index"].to_pylist() == list(range(len(truth)))
    assert np.allclose(frames["pts_s"].to_numpy(), [t for t, _ in truth], atol=1e-6)
    masks = dataset.arrow("masks", ["frame_id", "height", "width"])
    assert masks.num_rows == len(truth)
    assert {(m["height"], m["width"]) for m in masks.to_pylist()} == {truth[0][1].shape[:2]}


def test_the_embedded_model_on_a_real_road(clips: Path, tmp_path: Path, segpipe: Call) -> None:
    """The motorway of solidWhiteRight: sky above, road below, little else in the lane."""
    out = tmp_path / "out"
    segpipe("run", clips / "solidWhiteRight.mp4", "-o", out, "--set", "sampling.every_n=50", "-q")
    dataset = open_dataset(out)
    for frame_id in dataset.polars("frames").collect()["frame_id"]:
        mask = dataset.mask(frame_id)
        names = [c.name for c in dataset.classes]
        assert np.mean(mask[:100, :600] == names.index("sky")) > 0.8
        assert np.mean(mask[400:500, 300:600] == names.index("road")) > 0.9
