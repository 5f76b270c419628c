"""Columns that were renamed: SQL has them by their old names, too; files have new ones only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from segpipe import open_dataset
from segpipe.store.dataset import Dataset
from segpipe.store.table_files import READABLE
from tests.damage import stream_dataset
from tests.synthetic import Clip, along, write_dataset

RENAMED = [
    ("frames", "odometer_m", "track_m"),
    ("tracks", "odometer_m", "track_m"),
    ("observations", "odometer_m", "track_m"),
    ("frame_metres", "odometer_m", "track_m"),
    ("sources", "start_time", "start"),
    ("gaps", "start_time", "start"),
]


def drive_in(folder: Path) -> Dataset:
    way = along(np.arange(20.0))
    return write_dataset(folder, [Clip("a", 20, {("frame", "road"): 0.4}, **way)])


@pytest.mark.parametrize("folder", ["plain", "a[pattern]"], ids=["by name", "through Arrow"])
@pytest.mark.parametrize(("view", "new", "old"), RENAMED)
def test_views_have_both_names(view: str, new: str, old: str, folder: str, tmp_path: Path) -> None:
    if view == "gaps":
        stream_dataset(tmp_path / folder, [(0, 60), (90, 99)], [(60, 90, "lost", "it went")])
        dataset = open_dataset(tmp_path / folder)
    else:
        dataset = drive_in(tmp_path / folder)
    for connection in (dataset.duckdb(), dataset.read_only_duckdb()):
        found = connection.execute(
            f"SELECT count(*), count({new}), count(*) FILTER ({old} IS NOT DISTINCT FROM {new}) "
            f"FROM {view}"
        ).fetchone()
        assert found is not None
        assert found[0] == found[1] == found[2] > 0
        columns = [d[0] for d in connection.execute(f"SELECT * FROM {view}").description]
        assert len(set(columns)) == len(columns)


def test_the_geometry_has_its_type_both_ways(tmp_path: Path) -> None:
    types = {
        drive_in(tmp_path / name).duckdb().execute("SELECT typeof(geometry) FROM frames").fetchone()
        for name in ("plain", "a[pattern]")
    }
    assert types == {("GEOMETRY('OGC:CRS84')",)}


def test_files_have_the_new_names_only(tmp_path: Path) -> None:
    dataset = drive_in(tmp_path / "out")
    for table in READABLE:
        names = dataset.arrow_dataset(table).schema.names
        assert not {"start", "track_m"} & set(names)
    assert "start_time" in dataset.arrow("sources").column_names
    assert "odometer_m" in dataset.polars("frames").collect_schema().names()
    fix = dataset.arrow("sources")["track"].to_pylist()[0][0]
    assert "odometer_m" in fix
    assert "track_m" not in fix
