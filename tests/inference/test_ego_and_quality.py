"""Honest denominators: the vehicle and ignored polygons count nowhere; quality says which frames
are worth counting."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pandas as pd
import pytest

from segpipe import open_dataset
from segpipe.core.config.regions import RegionSettings
from segpipe.core.types import UInt8
from segpipe.inference.measures.ego_mask import find_ego_mask
from segpipe.inference.measures.quality import QualityMeter
from segpipe.inference.measures.regions import NO_REGIONS, Regions
from segpipe.training.sample.drive import DriveSettings, render_frame
from segpipe.training.sample.world import build
from tests.driving import with_vehicle
from tests.footage import decoded

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "-q")


def iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())


@pytest.fixture(scope="module")
def moving() -> list[UInt8]:
    """Forty frames of the sample drive, spread over its twenty seconds."""
    settings = DriveSettings(width=640, height=360)
    things = build(settings.seed)
    return [render_frame(settings, things, t)[0] for t in np.linspace(0, 9, 40)]


def test_bonnet_and_time_stamp_are_found(moving: list[UInt8]) -> None:
    frames, covered = with_vehicle(moving)
    mask, note = find_ego_mask(frames)
    assert mask is not None, note
    assert mask.shape == covered.shape
    assert iou(mask, covered) > 0.85


def test_a_drive_without_a_vehicle_in_sight_has_no_ego_mask(moving: list[UInt8]) -> None:
    assert find_ego_mask(moving) == (None, "")


def test_real_footage_has_no_ego_mask_and_gets_one_with_a_vehicle(clips: Path) -> None:
    frames = [rgb for _, rgb in decoded(clips / "max-heromode.mp4")][::6]
    assert find_ego_mask(frames) == (None, "")
    painted, covered = with_vehicle(frames)
    mask, _ = find_ego_mask(painted)
    assert mask is not None
    assert iou(mask, covered) > 0.85


def test_a_camera_that_stands_still_has_no_ego_mask(moving: list[UInt8]) -> None:
    mask, note = find_ego_mask([moving[0]] * 30)
    assert mask is None
    assert "hardly changes" in note
    mask, note = find_ego_mask(moving[:5])
    assert mask is None
    assert "too few" in note


def write_video(path: Path, frames: list[UInt8]) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10, options={"crf": "18"})
        stream.height, stream.width, stream.pix_fmt = *frames[0].shape[:2], "yuv420p"
        for rgb in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def test_the_ego_mask_leaves_every_statistic(
    moving: list[UInt8], tmp_path: Path, segpipe: Call
) -> None:
    frames, covered = with_vehicle(moving)
    clip = write_video(tmp_path / "clip.mp4", frames)
    code, _, errors = segpipe(
        "run",
        clip,
        "-o",
        tmp_path / "out",
        *FAKE,
        "--set",
        "ego_mask=auto",
        "--set",
        "sampling.every_n=10",
    )
    assert code == 0, errors
    dataset = open_dataset(tmp_path / "out")
    rows = dataset.arrow("frames").to_pandas()
    assert (rows["valid_pixels"] < 0.9 * 640 * 360).all()
    for row in rows.itertuples():
        mask = dataset.mask(row.frame_id)
        assert row.valid_pixels == (mask != 255).sum()
        assert iou(mask == 255, covered) > 0.85
    stats = dataset.arrow("class_stats").to_pandas()
    whole = stats[stats["region"] == "frame"].groupby("frame_id")
    assert (whole["pixel_count"].sum() == rows.set_index("frame_id")["valid_pixels"]).all()
    assert np.allclose(whole["pixel_fraction"].sum(), 1.0)
    source = pd.read_parquet(tmp_path / "out" / "sources").iloc[0]
    assert source["ego_fraction"] == pytest.approx(1 - rows["valid_pixels"][0] / (640 * 360))
    code, printed, _ = segpipe("info", tmp_path / "out")
    assert "ego mask:" in printed
    assert "################################" in printed


def test_left_and_right_make_the_frame_and_ignored_polygons_do_not(
    drive, tmp_path: Path, segpipe: Call
) -> None:  # type: ignore[no-untyped-def]
    half = "ignore_regions=[[[0, 0], [1, 0], [1, 0.5], [0, 0.5]]]"
    own = "regions.polygons={corner: [[[0, 0.5], [0.25, 0.5], [0.25, 1], [0, 1]]]}"
    segpipe(
        "run",
        drive.video,
        "-o",
        tmp_path / "out",
        *FAKE,
        "--set",
        half,
        "--set",
        own,
        "--set",
        "sampling.every_n=10",
    )
    stats = open_dataset(tmp_path / "out").arrow("class_stats").to_pandas()
    valid = stats.groupby(["frame_id", "region"])["valid_pixels"].first().unstack()
    assert (valid["frame"] == 640 * 352 / 2).all()
    assert (valid["left"] + valid["right"] == valid["frame"]).all()
    assert (valid["near"] + valid["middle"] + valid["far"] == valid["frame"]).all()
    assert (valid["corner"] == 640 * 352 / 8).all()
    counts = stats.pivot_table(
        index=["frame_id", "class_id"], columns="region", values="pixel_count", fill_value=0
    )
    assert (counts["left"] + counts["right"] == counts["frame"]).all()
    assert np.allclose(stats["pixel_fraction"], stats["pixel_count"] / stats["valid_pixels"])


def test_quality_tells_blur_darkness_and_glare(moving: list[UInt8]) -> None:
    meter = QualityMeter(NO_REGIONS)
    good = meter.measure(moving[0])
    assert meter.measure(cv2.GaussianBlur(moving[0], (0, 0), 6)).sharpness < 0.02 * good.sharpness
    dark = meter.measure((moving[0] * 0.04).astype(np.uint8))
    assert dark.brightness < 0.06 * good.brightness
    glare = meter.measure(
        np.where(np.arange(640)[None, :, None] < 320, 255, moving[0]).astype(np.uint8)
    )
    assert glare.saturated_fraction == pytest.approx(0.5, abs=0.02)
    flat = meter.measure(np.full((360, 640, 3), 128, np.uint8))
    assert (flat.sharpness, flat.contrast, flat.saturated_fraction) == (0, 0, 0)
    assert flat.brightness == 128


def test_quality_is_about_the_same_at_any_resolution(moving: list[UInt8]) -> None:
    meter = QualityMeter(NO_REGIONS)
    settings = DriveSettings(width=1920, height=1080)
    small, large = (
        meter.measure(moving[0]),
        meter.measure(render_frame(settings, build(settings.seed), 0.0)[0]),
    )
    assert 0.5 < large.sharpness / small.sharpness < 2
    assert large.brightness == pytest.approx(small.brightness, rel=0.02)
    assert large.contrast == pytest.approx(small.contrast, rel=0.05)


def test_what_is_ignored_does_not_count_for_quality(moving: list[UInt8]) -> None:
    upper = Regions(RegionSettings(), (((0.0, 0.5), (1.0, 0.5), (1.0, 1.0), (0.0, 1.0)),))
    spoilt = moving[0].copy()
    spoilt[180:] = np.random.default_rng(0).integers(0, 256, spoilt[180:].shape, dtype=np.uint8)
    assert QualityMeter(upper).measure(spoilt) == QualityMeter(upper).measure(moving[0])
    everything = Regions(RegionSettings(), (((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)),))
    assert math.isnan(QualityMeter(everything).measure(spoilt).brightness)


def test_usable_and_changed_in_the_rows(moving: list[UInt8], tmp_path: Path, segpipe: Call) -> None:
    black = np.zeros_like(moving[0])
    clip = write_video(tmp_path / "clip.mp4", [moving[0], moving[0], black, moving[0], moving[20]])
    segpipe("run", clip, "-o", tmp_path / "out", *FAKE)
    rows = open_dataset(tmp_path / "out").arrow("frames").to_pandas().sort_values("frame_index")
    assert rows["usable"].tolist() == [True, True, False, True, True]
    changed = rows["changed_fraction"].tolist()
    assert math.isnan(changed[0])
    assert changed[1] < 0.05
    dataset = open_dataset(tmp_path / "out")
    masks = [dataset.mask(i) for i in rows["frame_id"]]
    assert changed[2:] == [pytest.approx((a != b).mean()) for a, b in itertools.pairwise(masks[1:])]
    sets = (
        "quality.max_changed_fraction=0.01",
        "quality.min_brightness=null",
        "quality.min_contrast=null",
    )
    segpipe("run", clip, "-o", tmp_path / "strict", *FAKE, *(f for s in sets for f in ("--set", s)))
    rows = open_dataset(tmp_path / "strict").arrow("frames").to_pandas().sort_values("frame_index")
    assert rows["usable"].tolist()[2] is False  # it changed too much
    segpipe("run", clip, "-o", tmp_path / "off", *FAKE, "--set", "quality.measure=false")
    rows = open_dataset(tmp_path / "off").arrow("frames").to_pandas()
    assert rows["sharpness"].isna().all()
    assert rows["usable"].all()
