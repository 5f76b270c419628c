"""The view `class_shares`: a row for each class of the model in each region of each frame."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from segpipe import open_dataset
from segpipe.analysis.report.contents import class_shares_of
from segpipe.core.errors import DatasetError
from segpipe.store.dataset import Dataset
from tests.synthetic import CLASSES, Clip, write_dataset

Call = Callable[..., tuple[int, str, str]]
REGIONS = {"frame", "left", "right", "near", "middle", "far", "path"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """Ten frames, of which one failed; two of the others show a bicyclist, all show road; `path`
    shows road only."""
    bicyclist = np.where(np.isin(np.arange(10), [2, 7]), 0.05, 0.0)
    shares = {("frame", "road"): 0.4, ("frame", "bicyclist"): bicyclist, ("path", "road"): 1.0}
    return write_dataset(tmp_path_factory.mktemp("shares"), [Clip("a", 10, shares, failed=(4,))])


def test_there_is_a_row_for_each_frame_region_and_class_of_the_model(dataset: Dataset) -> None:
    found = dataset.duckdb().sql("SELECT * FROM class_shares").df()
    assert len(found) == 10 * len(REGIONS) * len(CLASSES)
    assert not found.duplicated(["frame_id", "region", "class_id"]).any()
    assert set(found["region"]) == REGIONS
    assert set(found["class_name"]) == set(CLASSES)
    assert set(found.query("class_name == 'bicyclist'")["common_name"]) == {"cyclist"}


def test_absent_is_zero_and_what_could_not_be_seen_is_null(dataset: Dataset) -> None:
    found = (
        dataset.duckdb()
        .sql("SELECT * FROM class_shares")
        .df()
        .set_index(["frame_index", "region", "class_name"])
    )
    share, count, valid = found["pixel_fraction"], found["pixel_count"], found["valid_pixels"]
    assert share[2, "frame", "bicyclist"] == 0.05
    assert (
        share[3, "frame", "bicyclist"],
        count[3, "frame", "bicyclist"],
        valid[3, "frame", "sky"],
    ) == (0, 0, 400_000)
    assert (share[3, "path", "road"], share[3, "path", "sky"], valid[3, "path", "sky"]) == (
        1,
        0,
        50_000,
    )
    assert share[4].isna().all()  # the failed frame
    assert count[4].isna().all()
    assert share[:, "left"].isna().all()  # a region without a valid pixel
    seen = found.reset_index().query("frame_index != 4 and region in ('frame', 'path')")
    assert seen["pixel_fraction"].notna().all()


def test_a_mean_over_frames_is_not_one_over_the_frames_that_show_the_class(
    dataset: Dataset,
) -> None:
    [(share,)] = (
        dataset.duckdb()
        .sql(
            "SELECT avg(pixel_fraction) FROM class_shares WHERE region = 'frame' AND class_name "
            "= 'bicyclist'"
        )
        .fetchall()
    )
    assert share == pytest.approx(2 * 0.05 / 9)


def test_filters_reach_the_tables(dataset: Dataset) -> None:
    """A question about one region reads `class_stats` once, and of it that region's rows alone."""
    query = (
        "EXPLAIN (FORMAT json) SELECT avg(pixel_fraction) FROM class_shares WHERE region = 'frame'"
    )
    [(_, plan)] = dataset.duckdb().sql(query).fetchall()
    scans = [node for node in walk(json.loads(plan)) if node["name"].strip() == "READ_PARQUET"]
    assert len(scans) == 2
    assert ["region" in str(scan["extra_info"].get("Filters")) for scan in scans].count(True) == 1


def walk(nodes: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in nodes:
        yield node
        yield from walk(node["children"])


def test_an_empty_dataset_has_no_shares(tmp_path: Path) -> None:
    assert write_dataset(tmp_path, []).duckdb().sql("SELECT * FROM class_shares").fetchall() == []


def test_regions_of_a_manifest_from_elsewhere_are_checked(dataset: Dataset, tmp_path: Path) -> None:
    content = dataset.manifest.content() | {"regions": {"builtin": ["sideways"]}}
    (tmp_path / "dataset.json").write_text(json.dumps(content))
    with pytest.raises(DatasetError, match=r"dataset\.json: regions isn't what segpipe run writes"):
        open_dataset(tmp_path)


def test_frames_count_alike_whatever_their_resolution(tmp_path: Path, segpipe: Call) -> None:
    """A large picture that is all red and a small one that is all blue: each is half of what was
    seen."""
    (tmp_path / "in").mkdir()
    Image.new("RGB", (320, 240), (220, 30, 30)).save(tmp_path / "in" / "large.png")
    Image.new("RGB", (64, 48), (30, 30, 220)).save(tmp_path / "in" / "small.png")
    code, out, err = segpipe(
        "run", tmp_path / "in", "-o", tmp_path / "out", "--set", "model.source=fake:"
    )
    assert code == 0, err
    assert "mean share of the picture: red 50.0 %, blue 50.0 %" in out + err
    found = open_dataset(tmp_path / "out")
    assert [(s.name, s.share) for s in class_shares_of(found)] == [("red", 0.5), ("blue", 0.5)]
