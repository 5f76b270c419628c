"""Each documented query, and each documented condition of `events`, is held to the truth: on the
sample drive, with what a model adds to it. The footage is the drive's true labels, painted, with
single pixels of pedestrian strewn over every frame. Questions about people must be answered as if
the specks weren't there; the expected answers are counted from the label maps with numpy and
OpenCV."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from segpipe.analysis.events import find_events
from segpipe.core.types import UInt8
from segpipe.store.dataset import Dataset
from segpipe.training.sample.drive import DriveSettings, _gpx, render_frame
from segpipe.training.sample.world import build, travelled
from tests.conftest import ROOT
from tests.painted import CAMVID, segment_painted, write_painted

SETTINGS = DriveSettings(seconds=20.0, fps=5, width=320, height=180)
SPANS = ((0, 70), (80, 100))
"""The frames of the two clips: two seconds are missing between them."""
NAMES = [c.name for c in CAMVID]
PEOPLE = ("pedestrian", "bicyclist")
PIXELS = SETTINGS.width * SETTINGS.height
Y, X = np.mgrid[0 : SETTINGS.height, 0 : SETTINGS.width] + 0.5
BELOW = (Y - SETTINGS.height / 2) / (SETTINGS.height / 2)
PATH = np.abs(X - SETTINGS.width / 2) <= 1.1 * (Y - SETTINGS.height / 2)
LEFT = SETTINGS.width / 2 > X
REGIONS = {
    "frame": np.ones(PATH.shape, bool),
    "left": LEFT,
    "right": ~LEFT,
    "path": PATH,
    "far": (BELOW >= 0) & (BELOW < 0.3),
    "middle": (BELOW >= 0.3) & (BELOW < 0.6),
    "near": BELOW >= 0.6,
}


@dataclass(frozen=True)
class Drive:
    """The dataset, the true labels and the painted ones (uint8 [H, W] each) of its good frames, in
    their order."""

    dataset: Dataset
    true: list[UInt8]
    painted: list[UInt8]

    @cached_property
    def frames(self) -> pd.DataFrame:
        """The good frames as they were driven, with the metres that each stands for, counted from
        `odometer_m`."""
        found = (
            self.dataset.arrow("frames")
            .to_pandas()
            .query("status == 'ok'")
            .sort_values("timestamp")
            .reset_index(drop=True)
        )
        steps = found.groupby("source_id")["odometer_m"].diff()
        found["metres"] = (
            steps.fillna(0) / 2 + steps.groupby(found["source_id"]).shift(-1).fillna(0) / 2
        )
        first = found["source_id"] == found["source_id"].iloc[0]
        start = found.groupby("source_id")["odometer_m"].transform("min")
        found["drive_m"] = (
            found["odometer_m"]
            - start
            + np.where(first, 0, (found["odometer_m"] - start)[first].max())
        )
        return found

    def share(self, *names: str, region: str = "frame") -> np.ndarray:
        """The share of classes in a region of each frame as painted, float [N]."""
        kinds = [NAMES.index(n) for n in names]
        return np.array([np.isin(label[REGIONS[region]], kinds).mean() for label in self.painted])

    def largest(self, name: str, region: str = "frame") -> np.ndarray:
        """Height and pixels of the largest part of a class in a region of each frame in truth, int
        [N, 2]."""
        found = []
        for label in self.true:
            mask = ((label == NAMES.index(name)) & REGIONS[region]).astype(np.uint8)
            parts = cv2.connectedComponentsWithStats(mask, connectivity=8)[2][1:]
            sizes = parts[:, cv2.CC_STAT_AREA]
            found.append(
                (parts[sizes.argmax(), cv2.CC_STAT_HEIGHT], sizes.max()) if len(parts) else (0, 0)
            )
        return np.array(found)


def strewn(label: UInt8, seed: int) -> UInt8:
    """A label map with 900 single pixels of pedestrian, none at another or at a person's."""
    rng, found = np.random.default_rng(seed), label.copy()
    people = np.isin(label, [NAMES.index(n) for n in PEOPLE]).astype(np.uint8)
    clear = cv2.dilate(people, np.ones((5, 5), np.uint8)) == 0
    ys, xs = np.meshgrid(
        np.arange(2, SETTINGS.height, 5), np.arange(2, SETTINGS.width, 5), indexing="ij"
    )
    chosen = rng.permutation(ys.size)[:900]
    y, x = ys.reshape(-1)[chosen], xs.reshape(-1)[chosen]
    found[y[clear[y, x]], x[clear[y, x]]] = NAMES.index("pedestrian")
    return found


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Drive:
    """Two clips of the drive and a file that can't be read."""
    folder, things = tmp_path_factory.mktemp("queries"), build(SETTINGS.seed)
    true = [
        render_frame(SETTINGS, things, i / SETTINGS.fps)[1] for span in SPANS for i in range(*span)
    ]
    painted = [strewn(label, i) for i, label in enumerate(true)]
    cut = SPANS[0][1]
    clips = [
        write_painted(folder / "20260501_100000.mkv", painted[:cut], SETTINGS.fps),
        write_painted(folder / "20260501_100016.mkv", painted[cut:], SETTINGS.fps),
    ]
    (folder / "20260501_103000.mkv").write_text("words")
    (folder / "drive.gpx").write_text(_gpx(SETTINGS), encoding="utf-8")
    settings = {
        "time": {"timezone": "UTC", "order": ["filename"]},
        "track": {"files": [str(folder / "drive.gpx")]},
    }
    dataset = segment_painted([*clips, folder / "20260501_103000.mkv"], folder / "out", **settings)
    return Drive(dataset, true, painted)


def documented() -> dict[str, str]:
    """Each SQL query of README and docs by its heading (in the cookbook) or the paragraph before
    it."""
    found = {}
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        text = path.read_text(encoding="utf-8")
        for block in re.finditer(r"```sql\n(.*?)```", text, re.DOTALL):
            before = text[: block.start()].rstrip()
            title = (
                re.findall(r"^## (.*)", before, re.MULTILINE)[-1]
                if path.name == "queries.md"
                else before.split("\n\n")[-1]
            )
            found[f"{path.stem}: {title[:60]}"] = block[1]
    return found


QUERIES = documented()


def check_failed(drive: Drive, found: pd.DataFrame) -> None:
    assert [Path(uri).name for uri in found["uri"]] == ["20260501_103000.mkv"]


def check_mean_shares(drive: Drive, found: pd.DataFrame) -> None:
    shares = dict(zip(found["class_name"], found["share"], strict=True))
    assert shares == pytest.approx({n: drive.share(n).mean() for n in NAMES})
    assert found["share"].is_monotonic_decreasing


def check_green_by_time(drive: Drive, found: pd.DataFrame) -> None:
    green = drive.frames.assign(green=drive.share("tree"), from_s=drive.frames["pts_s"] // 10 * 10)
    expected = green.groupby(["source_id", "from_s"])["green"].mean()
    known = found.dropna(subset="green").set_index(["source_id", "from_s"])["green"]
    pd.testing.assert_series_equal(known, expected)


def check_somebody_near(drive: Drive, found: pd.DataFrame) -> None:
    expected = []
    for name in PEOPLE:
        tall, pixels = drive.largest(name).T
        near = (tall > 0.2 * SETTINGS.height) & (pixels >= 0.002 * PIXELS)
        chosen = drive.frames[near]
        expected += list(
            zip(chosen["uri"], chosen["pts_s"], [name] * len(chosen), tall[near], strict=True)
        )
        assert 3 < len(chosen) < 60  # there are such frames, and others
    rows = found[["uri", "pts_s", "class_name", "height_px"]].itertuples(index=False, name=None)
    assert sorted(rows) == sorted(expected)


def check_least_sure(drive: Drive, found: pd.DataFrame) -> None:
    assert found["mean_confidence"].tolist() == sorted(drive.frames["mean_confidence"])[:20]


def check_green_by_metres(drive: Drive, found: pd.DataFrame) -> None:
    frames = drive.frames.assign(
        weighted=drive.share("tree") * drive.frames["metres"],
        from_m=drive.frames["drive_m"] // 100 * 100,
    )
    sums = frames.groupby("from_m")[["metres", "weighted"]].sum()
    assert found["from_m"].tolist() == sums.index.tolist()
    assert found["metres"].tolist() == pytest.approx(sums["metres"].tolist())
    assert found["green_view"].tolist() == pytest.approx(
        (sums["weighted"] / sums["metres"]).tolist()
    )
    # The sample's degrees are of a round earth.
    way = travelled(13.8) + travelled(19.8) - travelled(16.0)
    assert found["metres"].sum() == pytest.approx(way, rel=0.02)


def check_no_pavement(drive: Drive, found: pd.DataFrame) -> None:
    pavement = (
        drive.share("pavement", region="near") + drive.share("pavement", region="middle")
    ) / 2
    frames = drive.frames.assign(
        weighted=pavement * drive.frames["metres"], from_m=drive.frames["drive_m"] // 50 * 50
    )
    sums = frames[frames["metres"] > 0].groupby("from_m")[["metres", "weighted"]].sum()
    share = sums["weighted"] / sums["metres"]
    assert found["from_m"].tolist() == share[share < 0.005].index.tolist()


def check_somebody_in_the_path(drive: Drive, found: pd.DataFrame) -> None:
    expected = []
    for name in PEOPLE:
        sizes = drive.largest(name, "path")[:, 1] / PATH.sum()
        chosen = drive.frames[sizes > 0.01]
        expected += list(
            zip(
                chosen["source_id"],
                chosen["pts_s"],
                [name] * len(chosen),
                sizes[sizes > 0.01].round(9),
                strict=True,
            )
        )
    rows = zip(
        found["source_id"], found["seek_s"], found["class"], found["size"].round(9), strict=True
    )
    assert sorted(rows) == sorted(expected)
    assert len(expected) > 3
    # The specks alone are more than a per cent
    assert (drive.share("pedestrian", region="path") > 0.01).mean() > 0.9


def check_standing(drive: Drive, found: pd.DataFrame) -> None:
    # The last frame of a clip has no frame after it.
    times = [i / SETTINGS.fps for a, b in SPANS for i in range(a, b - 1)]
    speeds = np.array([travelled(t + 0.01) - travelled(t - 0.01) for t in times]) / 0.02
    seconds = dict(zip(found["state"], found["seconds"], strict=True))
    assert sum(seconds.values()) == pytest.approx(len(times) / SETTINGS.fps)
    # Fixes a second apart, at both ends
    assert seconds["standing"] == pytest.approx((speeds < 0.5).sum() / SETTINGS.fps, abs=2.0)


def check_red_lights(drive: Drive, found: pd.DataFrame) -> None:
    metres = drive.frames["metres"].to_numpy()
    for name, by_frames, by_metres in found.itertuples(index=False):
        assert by_frames == pytest.approx(drive.share(name).mean())
        assert by_metres == pytest.approx((drive.share(name) * metres).sum() / metres.sum())
    assert set(found["class_name"]) == set(NAMES)


def check_unusable(drive: Drive, found: pd.DataFrame) -> None:
    assert found[["reason", "frames"]].to_numpy().tolist() == [["not readable", 1]]


def check_traffic(drive: Drive, found: pd.DataFrame) -> None:
    frames = drive.frames.assign(
        cars=np.minimum(np.floor(drive.share("car", region="far") * 10) / 10, 0.9)
    )
    groups = frames.dropna(subset="speed_mps").groupby("cars")["speed_mps"]
    assert found["vehicles_from"].tolist() == list(groups.groups)
    assert found["frames"].tolist() == groups.count().tolist()
    assert found["mean_kmh"].tolist() == pytest.approx((3.6 * groups.mean()).tolist())


def check_character(drive: Drive, found: pd.DataFrame) -> None:
    metres = drive.frames["metres"].to_numpy()
    [row] = found.to_dict("records")  # the drive is shorter than half a kilometre
    for name, classes in {
        "built": ("building", "fence"),
        "green": ("tree",),
        "sky": ("sky",),
    }.items():
        assert row[name] == pytest.approx((drive.share(*classes) * metres).sum() / metres.sum())


def check_hours(drive: Drive, found: pd.DataFrame) -> None:
    row = found[found["hour_utc"] == 10].iloc[0]
    assert (row["usable"], row["drives"] >= 1) == (len(drive.true), True)
    assert row["km"] == pytest.approx(drive.frames["metres"].sum() / 1000)


def check_obstacle(drive: Drive, found: pd.DataFrame) -> None:
    sizes = {n: drive.largest(n, "path")[:, 1] / PATH.sum() for n in ("car", *PEOPLE)}
    biggest = max(sizes, key=lambda n: sizes[n].max())
    first = found.iloc[0]
    # Specks lie on cars
    assert (first["class"], first["obstacle"]) == (
        biggest,
        pytest.approx(sizes[biggest].max(), rel=0.03),
    )
    assert first["timestamp"] == drive.frames["timestamp"][sizes[biggest].argmax()]


def check_holes(drive: Drive, found: pd.DataFrame) -> None:
    assert found["drive_index"].tolist() == [0, 1]
    assert found["gap_before_s"].tolist()[1] == pytest.approx(2.0, abs=0.01)


def check_confidence(drive: Drive, found: pd.DataFrame) -> None:
    rows = found.set_index(["class_name", "region"])
    for region, mask in REGIONS.items():
        for k, name in enumerate(NAMES):
            pixels = [int((label[mask] == k).sum()) for label in drive.painted]
            if sum(pixels):
                row = rows.loc[(name, region)]
                assert (row["pixels"], row["frames"]) == (sum(pixels), np.count_nonzero(pixels))


def check_nothing(drive: Drive, found: pd.DataFrame) -> None:
    assert found.empty  # the drive is no stream: it has no gaps


def check_somebody_in_sight(drive: Drive, found: pd.DataFrame) -> None:
    frames = drive.frames.assign(seen=drive.largest("pedestrian")[:, 1] / PIXELS >= 0.0005)
    clips = frames.groupby("source_id")["seen"]  # both lie within one minute
    assert found[["frames", "whole"]].to_numpy().tolist() == [[n, True] for n in clips.count()]
    assert found["somebody"].tolist() == pytest.approx(clips.mean().tolist())


CHECKS: dict[str, Callable[[Drive, pd.DataFrame], None]] = {
    "dataset: Which frames failed": check_failed,
    "dataset: What the camera saw": check_mean_shares,
    "dataset: How green": check_green_by_time,
    "dataset: When somebody was near": check_somebody_near,
    "dataset: Where the model was least sure": check_least_sure,
    "queries: How green": check_green_by_metres,
    "queries: Where is there no pavement": check_no_pavement,
    "queries: When was somebody in": check_somebody_in_the_path,
    "queries: How long did the car stand": check_standing,
    "queries: What does the street consist": check_red_lights,
    "queries: Which frames aren't usable": check_unusable,
    "queries: How fast is traffic": check_traffic,
    "queries: Where does the street change": check_character,
    "queries: At which hours": check_hours,
    "queries: What was the biggest": check_obstacle,
    "queries: Which drives have holes": check_holes,
    "queries: How sure is the model": check_confidence,
    "streams: In what share of each minute": check_somebody_in_sight,
    "streams: The longest outages": check_nothing,
    "streams: How much of each day": check_nothing,
}


@pytest.mark.parametrize("title", QUERIES)
def test_the_answer_is_true(drive: Drive, title: str) -> None:
    [check] = [c for words, c in CHECKS.items() if title.startswith(words)]
    check(drive, drive.dataset.duckdb().sql(QUERIES[title]).df())


def test_every_check_has_its_query() -> None:
    assert all(any(title.startswith(words) for title in QUERIES) for words in CHECKS)


def conditions() -> list[str]:
    """The conditions of `segpipe events` in README and docs."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return [
        c
        for page in pages
        for c in re.findall(
            r'segpipe events \S+ --where "([^"]+)"', page.read_text(encoding="utf-8")
        )
    ]


@pytest.mark.parametrize("where", conditions())
def test_the_events_are_true(drive: Drive, where: str) -> None:
    """The documented ones are of pedestrians in the path, as one thing of more than a per cent."""
    seen = np.flatnonzero(drive.largest("pedestrian", "path")[:, 1] / PATH.sum() > 0.01)
    runs = np.split(
        seen,
        np.flatnonzero((np.diff(seen) > 3) | (seen[1:] // SPANS[0][1] != seen[:-1] // SPANS[0][1]))
        + 1,
    )
    found = find_events(drive.dataset.duckdb(), where, min_seconds=0.0).to_pylist()
    assert [e["frames"] for e in found] == [len(r) for r in runs]
    assert [e["start_time"] for e in found] == [drive.frames["timestamp"][r[0]] for r in runs]
    assert len(seen) > 3


def test_there_are_conditions() -> None:
    assert len(conditions()) >= 2
