"""The sample drive gives back what is known of it: its track, its events, its class shares. Its
true labels are painted as footage in the colours of the classes, so that every step from the
decoder to the query is the real one and nothing is guessed."""

from __future__ import annotations

import numpy as np
import pytest
from pyproj import Geod

from segpipe.analysis.aggregate import aggregate
from segpipe.analysis.events import find_events
from segpipe.core.types import UInt8
from segpipe.store.dataset import Dataset
from segpipe.training.sample.drive import START, DriveSettings, _gpx, position, render_frame
from segpipe.training.sample.world import build, travelled
from tests.painted import CAMVID, segment_painted, write_painted

SETTINGS = DriveSettings(seconds=20.0, fps=5, width=320, height=180)
PEDESTRIAN = [c.name for c in CAMVID].index("pedestrian")


@pytest.fixture(scope="module")
def labels() -> list[UInt8]:
    things = build(SETTINGS.seed)
    return [
        render_frame(SETTINGS, things, i / SETTINGS.fps)[1] for i in range(SETTINGS.frame_count)
    ]


@pytest.fixture(scope="module")
def dataset(labels: list[UInt8], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("truth")
    video = write_painted(folder / "drive.mkv", labels, SETTINGS.fps)
    (folder / "drive.gpx").write_text(_gpx(SETTINGS), encoding="utf-8")
    return segment_painted([video], folder / "out", time={"start": START})


def test_the_masks_are_the_true_labels(dataset: Dataset, labels: list[UInt8]) -> None:
    ids = dataset.duckdb().sql("SELECT frame_id FROM frames ORDER BY frame_index").fetchall()
    assert len(ids) == len(labels)
    for (frame_id,), label in list(zip(ids, labels, strict=True))[::7]:
        assert np.array_equal(dataset.mask(frame_id), label)


def test_its_track_comes_back(dataset: Dataset) -> None:
    rows = dataset.arrow("frames").to_pandas().sort_values("frame_index")
    true = np.array([position(i / SETTINGS.fps) for i in range(SETTINGS.frame_count)])
    _, _, metres = Geod(ellps="WGS84").inv(
        rows["longitude"], rows["latitude"], true[:, 1], true[:, 0]
    )
    assert metres.max() < 1.0
    # The sample's degrees are of a round earth
    assert rows["odometer_m"].iloc[-1] == pytest.approx(travelled(19.8), rel=0.015)


def test_its_class_shares_come_back(dataset: Dataset, labels: list[UInt8]) -> None:
    found = dict(
        dataset.duckdb()
        .sql(
            "SELECT class_name, sum(pixel_fraction) FROM class_stats WHERE region = 'frame' "
            "GROUP BY 1"
        )
        .fetchall()
    )
    for k, c in enumerate(CAMVID):
        true = sum(float((label == k).mean()) for label in labels)
        assert found.get(c.name, 0.0) == pytest.approx(true, abs=1e-9), c.name


def path_corridor() -> np.ndarray:
    """The corridor as the documentation words it: 2.2 camera heights wide, horizon at half the
    height."""
    y, x = np.mgrid[0 : SETTINGS.height, 0 : SETTINGS.width] + 0.5
    return np.abs(x - SETTINGS.width / 2) <= 1.1 * (y - SETTINGS.height / 2)


def test_the_pedestrian_in_the_path_is_an_event(dataset: Dataset, labels: list[UInt8]) -> None:
    path = path_corridor()
    shares = np.array([(label[path] == PEDESTRIAN).mean() for label in labels])
    seen = np.flatnonzero(shares > 0.01)
    assert len(seen) > 3  # somebody does cross while the camera waits
    assert np.all(np.diff(seen) == 1)
    where = "class='pedestrian' and region='path' and pixel_fraction>0.01"
    events = find_events(dataset.duckdb(), where, min_seconds=0.5).to_pylist()
    assert len(events) == 1
    event = events[0]
    assert event["frames"] == len(seen)
    assert event["seek_s"] == pytest.approx(seen[0] / SETTINGS.fps)
    assert event["seconds"] == pytest.approx(len(seen) / SETTINGS.fps)
    assert event["peak"] == pytest.approx(shares.max())
    assert event["peak_s"] == pytest.approx(shares.argmax() / SETTINGS.fps)
    assert 9.0 < event["seek_s"] < 13.0  # it brakes, and waits from the tenth second on
    lat, lon = position(float(event["peak_s"]))
    assert event["peak_latitude"] == pytest.approx(lat, abs=1e-5)
    assert event["peak_longitude"] == pytest.approx(lon, abs=1e-5)
    assert event["metres"] < 6


def test_a_red_light_does_not_outweigh_the_way(dataset: Dataset, labels: list[UInt8]) -> None:
    tree = [c.name for c in CAMVID].index("tree")
    green = np.array([(label == tree).mean() for label in labels])
    at = np.array([travelled(i / SETTINGS.fps) for i in range(len(labels))])
    steps = np.diff(at)
    metres = np.concatenate((steps, [0])) / 2 + np.concatenate(([0], steps)) / 2
    layer = aggregate(dataset.duckdb(), "metres:1000").frame
    assert len(layer) == 1
    assert layer["metres"][0] == pytest.approx(at[-1], rel=0.015)
    assert layer["green_view"][0] == pytest.approx((green * metres).sum() / metres.sum(), abs=0.002)
    # Counting frames would give another answer
    assert abs(green.mean() - layer["green_view"][0]) > 0.004
