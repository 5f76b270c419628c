"""The cookbook's queries run, and say what another way of counting says."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from segpipe.store.dataset import Dataset
from tests.benchmarks.drives import REGIONS
from tests.benchmarks.ten_million_rows import cookbook
from tests.synthetic import CLASSES, START, Clip, along, write_dataset

QUERIES = cookbook()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    rng, clips = np.random.default_rng(3), []
    for i in range(3):
        speed = np.where(np.arange(400) % 100 < 80, 8.0, 0.0)
        metres = np.concatenate(([0], np.cumsum(speed[:-1] * 0.5)))
        shares = {
            (r, c): rng.uniform(0, 0.08, 400) * (rng.random(400) > 0.3)
            for r in REGIONS
            for c in CLASSES
        }
        shares["near", "pavement"] = shares["middle", "pavement"] = np.where(metres < 600, 0.1, 0)
        dark = np.where(np.arange(400) < 10, 5.0, 120.0)
        clips.append(
            Clip(
                f"clip{i}",
                400,
                shares,
                f"drive{i // 2}",
                i % 2,
                0.5,
                START + timedelta(hours=i),
                speed_mps=speed,
                gap_before_s=40.0 if i % 2 else None,
                usable=dark > 15,
                columns={"brightness": dark},
                **along(metres),
            )
        )
    return write_dataset(tmp_path_factory.mktemp("cookbook"), clips, rng=rng)


def answer(dataset: Dataset, words: str) -> pd.DataFrame:
    [query] = [q for title, q in QUERIES.items() if words in title]
    return dataset.duckdb().sql(query).df()


def test_there_are_ten() -> None:
    assert len(QUERIES) >= 10


@pytest.mark.parametrize("title", QUERIES)
def test_each_runs_and_finds_something(dataset: Dataset, title: str) -> None:
    found = dataset.duckdb().sql(QUERIES[title]).df()
    assert len(found)
    for name in found.select_dtypes("number"):
        assert np.isfinite(found[name].dropna()).all()
        if name in {
            "green_view",
            "pavement",
            "by_frames",
            "by_metres",
            "confidence",
            "obstacle",
            "built",
            "green",
            "sky",
        }:
            assert found[name].dropna().between(0, 1).all(), name


@pytest.mark.parametrize("title", QUERIES)
def test_each_runs_on_an_empty_dataset(tmp_path: Path, title: str) -> None:
    write_dataset(tmp_path, []).duckdb().sql(QUERIES[title]).fetchall()


def test_green_view(dataset: Dataset) -> None:
    found = answer(dataset, "How green").set_index(["drive_id", "from_m"])
    frames, stats = dataset.arrow("frames").to_pandas(), dataset.arrow("class_stats").to_pandas()
    # The only clip of its drive.
    one = frames[frames["source_id"] == "clip2"].sort_values("frame_index")
    metres = (
        one["odometer_m"].diff().fillna(0) / 2 + one["odometer_m"].diff().shift(-1).fillna(0) / 2
    )
    green = stats[(stats["region"] == "frame") & (stats["class_name"] == "tree")].set_index(
        "frame_id"
    )["pixel_fraction"]
    share = one["frame_id"].map(green).fillna(0)
    piece = one["usable"] & one["odometer_m"].between(300, 399.999)
    row = found.loc["drive1", 300.0]
    assert row["metres"] == pytest.approx(metres[piece].sum())
    assert row["green_view"] == pytest.approx((metres * share)[piece].sum() / metres[piece].sum())


def test_shares_by_frames(dataset: Dataset) -> None:
    found = answer(dataset, "red lights").set_index("class_name")
    frames, stats = dataset.arrow("frames").to_pandas(), dataset.arrow("class_stats").to_pandas()
    usable = set(frames[frames["usable"]]["frame_id"])
    whole = stats[(stats["region"] == "frame") & stats["frame_id"].isin(usable)]
    expected = whole.groupby("class_name")["pixel_fraction"].sum() / len(usable)
    pd.testing.assert_series_equal(
        found["by_frames"].sort_index(), expected.sort_index(), check_names=False
    )


def test_standing_and_moving(dataset: Dataset) -> None:
    found = answer(dataset, "stand").set_index(["drive_id", "state"])["seconds"]
    # The last of 80 has no frame after it
    assert found["drive1", "standing"] == pytest.approx(79 * 0.5)
    assert found["drive1", "moving"] == pytest.approx(320 * 0.5)
    assert found["drive0", "moving"] == pytest.approx(640 * 0.5)


def test_missing_pavement_lies_where_it_was_left_out(dataset: Dataset) -> None:
    found = answer(dataset, "no pavement")
    one = found[found["drive_id"] == "drive1"]
    assert one["from_m"].min() == 600
    assert len(one) == len(range(600, 1280, 50))


def test_a_hidden_region_does_not_halve_the_pavement(tmp_path: Path) -> None:
    """The bonnet hides `near`: 0.8 % of `middle` is all that can be seen of the pavement, and
    enough."""
    shares = {("frame", "road"): 0.5, ("middle", "pavement"): 0.008, ("middle", "road"): 0.992}
    assert answer(
        write_dataset(tmp_path, [Clip("a", 100, shares, **along(np.arange(100) * 2.0))]),
        "no pavement",
    ).empty


def test_somebody_in_the_path(dataset: Dataset) -> None:
    found = answer(dataset, "somebody")
    stats = (
        dataset.arrow("class_stats")
        .to_pandas()
        .merge(dataset.arrow("frames", ["frame_id", "usable"]).to_pandas())
    )
    size = stats["pixel_fraction"] * stats["largest_component_fraction"]
    there = stats[
        (stats["region"] == "path")
        & stats["class_name"].isin(["pedestrian", "bicyclist"])
        & (size > 0.01)
    ]
    assert len(found) == there["usable"].sum()


def test_unusable_frames_holes_and_hours(dataset: Dataset) -> None:
    assert (
        answer(dataset, "aren't usable")[["reason", "frames"]].to_numpy().tolist()
        == [["dark", 10]] * 3
    )
    assert answer(dataset, "holes")["source_id"].tolist() == ["clip0", "clip1"]
    hours = answer(dataset, "hours")
    assert hours["hour_utc"].tolist() == [10, 11, 12]
    assert hours["usable"].tolist() == [390] * 3


def test_the_obstacle_is_one_thing(dataset: Dataset) -> None:
    stats = (
        dataset.arrow("class_stats")
        .to_pandas()
        .merge(dataset.arrow("frames", ["frame_id", "usable"]).to_pandas())
    )
    there = stats[
        (stats["region"] == "path")
        & stats["class_name"].isin(["car", "pedestrian", "bicyclist"])
        & stats["usable"]
    ]
    biggest = (there["pixel_fraction"] * there["largest_component_fraction"]).max()
    assert answer(dataset, "obstacle")["obstacle"].iloc[0] == pytest.approx(biggest)
