"""The sample drive gives back its own truth; overlays are real videos with the right colours."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import av
import cv2
import numpy as np
import pytest

from segpipe import open_dataset
from segpipe.analysis.report.overlay import blend
from segpipe.analysis.report.overlay_video import write_overlay
from segpipe.analysis.report.still import overlay_still
from segpipe.core.errors import DatasetError
from segpipe.inference.models import ClassInfo
from segpipe.training.sample import DriveFiles, DriveSettings, render_drive
from segpipe.training.sample.canvas import CLASSES
from segpipe.training.sample.drive import position
from tests.footage import decoded, make_video

Call = Callable[..., tuple[int, str, str]]


def test_the_drive_is_the_same_every_time(tmp_path: Path) -> None:
    digests = []
    for name in ("a", "b"):
        files = render_drive(
            tmp_path / name, DriveSettings(seconds=0.5, fps=10, width=320, height=176)
        )
        parts = [files.video, files.track, *sorted(files.labels.glob("*.png"))]
        digests.append([hashlib.sha256(p.read_bytes()).hexdigest() for p in parts])
    assert digests[0] == digests[1]


def test_a_label_map_for_each_frame_and_all_classes_on_the_way(drive: DriveFiles) -> None:
    frames = decoded(drive.video)
    labels = [cv2.imread(str(p), cv2.IMREAD_GRAYSCALE) for p in sorted(drive.labels.glob("*.png"))]
    assert len(frames) == len(labels) == 20
    assert all(m.shape == rgb.shape[:2] for m, (_, rgb) in zip(labels, frames, strict=True))
    seen = set(np.unique(np.stack(labels)).tolist())
    assert seen == set(range(len(CLASSES)))
    described = json.loads(drive.classes.read_text())
    assert [c["name"] for c in described["classes"]] == list(CLASSES)


def test_the_default_is_twenty_seconds_of_720p() -> None:
    settings = DriveSettings()
    assert settings.seconds >= 20
    assert (settings.width, settings.height) == (1280, 720)


def test_the_track_moves_brakes_and_goes_on(drive: DriveFiles) -> None:
    points = ElementTree.parse(drive.track).findall(".//{*}trkpt")
    assert len(points) == 3
    assert float(points[0].get("lat", 0)) == pytest.approx(position(0)[0])
    assert points[1].find("{*}time").text == "2026-05-01T10:00:01Z"  # type: ignore[union-attr]
    lon = [position(t)[1] for t in (0.0, 5.0, 11.0, 12.0, 15.0, 18.0)]
    assert lon[1] > lon[0]
    assert lon[2] == pytest.approx(lon[3])  # waits
    assert lon[5] > lon[4] > lon[3]


def test_the_embedded_model_knows_the_street(
    drive: DriveFiles, tmp_path: Path, segpipe: Call
) -> None:
    """The drive is drawn, not filmed, so this is a floor against nonsense and no measure of
    accuracy."""
    out = tmp_path / "out"
    assert segpipe("run", drive.video, "-o", out, "-q")[0] == 0
    dataset = open_dataset(out)
    ids = dataset.polars("frames").select("frame_id").collect()["frame_id"].sort()
    truth = [cv2.imread(str(p), cv2.IMREAD_GRAYSCALE) for p in sorted(drive.labels.glob("*.png"))]
    right = np.mean([np.mean(dataset.mask(i) == t) for i, t in zip(ids, truth, strict=True)])
    guess = max(np.mean(np.stack(truth) == k) for k in range(len(CLASSES)))
    assert right > guess + 0.2
    assert right > 0.6
    road = CLASSES.index("road")
    both = [(dataset.mask(i) == road, t == road) for i, t in zip(ids, truth, strict=True)]
    iou = sum((a & b).sum() for a, b in both) / sum((a | b).sum() for a, b in both)
    assert iou > 0.8


def test_blending_shows_colours_and_leaves_void() -> None:
    classes = (ClassInfo(0, "a", (255, 0, 0)), ClassInfo(1, "b", (0, 0, 255)))
    rgb = np.full((10, 30, 3), 100, np.uint8)
    labels = np.zeros((10, 30), np.uint8)
    labels[:, 10:20], labels[:, 20:] = 1, 255
    found = blend(rgb, labels, classes)
    assert found[5, 3].tolist() == pytest.approx([178, 50, 50], abs=1)
    assert found[5, 15].tolist() == pytest.approx([50, 50, 178], abs=1)
    assert found[5, 25].tolist() == [100, 100, 100]
    assert found[5, 10].tolist() == [0, 0, 255]  # the border


def test_an_overlay_is_h264_with_the_footages_times(tmp_path: Path, segpipe: Call) -> None:
    video = make_video(
        tmp_path / "clip.mp4", steps_ms=(33, 34, 67, 120), size=(161 // 2 * 2, 96), frames=20
    )
    out, film = tmp_path / "out", tmp_path / "films" / "overlay.mp4"
    segpipe("run", video, "-o", out, "--set", "model.source=fake:", "-q")
    code, text, _ = segpipe("overlay", out, "-o", film)
    assert code == 0
    assert "20 frames" in text
    with av.open(str(film)) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, stream.codec_context.pix_fmt) == ("h264", "yuv420p")
        pictures = list(container.decode(stream))
    assert [p.time for p in pictures] == pytest.approx([t for t, _ in decoded(video)], abs=2e-3)
    # Plays while it loads
    assert film.read_bytes().index(b"moov") < film.read_bytes().index(b"mdat")
    assert pictures[0].height > 96  # the legend
    assert overlay_still(open_dataset(out), next((out / "frames").iterdir()).stem).shape[1] == 160


def test_overlay_mistakes(tmp_path: Path, segpipe: Call) -> None:
    video = make_video(tmp_path / "clip.mp4", frames=4)
    out = tmp_path / "out"
    segpipe("run", video, "-o", out, "--set", "model.source=fake:", "-q")
    dataset = open_dataset(out)
    source = dataset.records()[0].source.source_id
    code, _, errors = segpipe("overlay", out, "--source", "nobody")
    assert code == 5
    assert source in errors
    with pytest.raises(DatasetError, match=r"written as \.mp4"):
        write_overlay(dataset, source, tmp_path / "film.txt")
    with pytest.raises(DatasetError, match="that is the footage itself"):
        write_overlay(dataset, source, video)
    make_video(video, frames=5)
    with pytest.raises(DatasetError, match=r"clip.mp4 holds another recording now"):
        write_overlay(dataset, source, tmp_path / "film.mp4")
    video.unlink()
    with pytest.raises(DatasetError, match=r"clip.mp4 is missing"):
        write_overlay(dataset, source, tmp_path / "film.mp4")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out"]
