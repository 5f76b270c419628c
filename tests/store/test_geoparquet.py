"""The table `frames` as other programs read it: one file, a list of files, the whole folder, and
only the rows within a box."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import geopandas as gpd
import pyarrow.parquet as pq
import pytest

from segpipe import open_dataset
from segpipe.runtime.files.atomic import temp_path
from segpipe.training.sample import DriveFiles
from tests.driving import eastwards, write_gpx
from tests.footage import make_video
from tests.pipeline.live.servers import http_server, make_ts, send
from tests.synthetic import Clip, along, write_dataset

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "-q")
TEN = datetime(2026, 5, 1, 10, tzinfo=UTC)
SIDES = ("xmin", "ymin", "xmax", "ymax")


def files_of(out: Path) -> list[Path]:
    return sorted((out / "frames").glob("*.parquet"))


def shared_geo(path: Path) -> dict[str, Any]:
    """What the Arrow schema of a file says: the part of its metadata that stays when files are read
    as one table."""
    return dict(json.loads(pq.read_schema(path).metadata[b"geo"]))


def boxes(path: Path) -> list[dict[str, float]]:
    """The least and the greatest of the four numbers of `bbox` in each row group that has any, from
    the file's statistics."""
    meta, found = pq.read_metadata(path), []
    place = {meta.schema.column(i).path: i for i in range(meta.num_columns)}
    for group in range(meta.num_row_groups):
        column = [meta.row_group(group).column(place[f"bbox.{side}"]).statistics for side in SIDES]
        if column[0].has_min_max:
            found.append(
                {
                    side: s.min if side.endswith("min") else s.max
                    for side, s in zip(SIDES, column, strict=True)
                }
            )
    return found


@pytest.fixture(scope="module")
def two(drive: DriveFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A shard with positions, and one without."""
    from segpipe.cli import main

    folder = tmp_path_factory.mktemp("two")
    make_video(folder / "a-nowhere.mp4", frames=5)
    inputs = [str(folder / "a-nowhere.mp4"), str(drive.video)]
    assert main(["run", *inputs, "-o", str(folder / "out"), *FAKE]) == 0
    return folder / "out"


def test_a_folder_and_a_list_of_files_are_read(two: Path) -> None:
    files = files_of(two)
    assert len(files) == 2
    for what in (two / "frames", str(two / "frames"), files, [str(f) for f in reversed(files)]):
        layer = gpd.read_parquet(what)
        assert len(layer) == 25
        assert layer.crs.equals("OGC:CRS84")
        placed = layer[layer["latitude"].notna()]
        assert len(placed) == 20
        assert placed.geometry.x.tolist() == placed["longitude"].tolist()
        assert placed.geometry.y.tolist() == placed["latitude"].tolist()
        assert layer[layer["latitude"].isna()].geometry.isna().all()


def test_the_shared_metadata_is_the_same_in_every_file(two: Path) -> None:
    shared = [shared_geo(f) for f in files_of(two)]
    assert shared[0] == shared[1]
    # A single file's bounds aren't those of all
    assert "bbox" not in shared[0]["columns"]["geometry"]
    covering = {"bbox": {side: ["bbox", side] for side in SIDES}}
    assert shared[0]["columns"]["geometry"]["covering"] == covering
    for file in files_of(two):
        own = json.loads(pq.read_metadata(file).metadata[b"geo"])["columns"]["geometry"]
        layer = gpd.read_parquet(file)
        bounds = layer.total_bounds.tolist() if layer["latitude"].notna().any() else []
        assert own.get("bbox", []) == bounds


def test_row_groups_outside_a_box_can_be_skipped(tmp_path: Path, segpipe: Call) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=200, fps=20)
    write_gpx(tmp_path / "clip.gpx", TEN, eastwards(10))
    segpipe("run", clip, "-o", tmp_path / "out", *FAKE, "--start", "2026-05-01T10:00:00Z")
    (file,) = files_of(tmp_path / "out")
    rows = pq.read_table(file).to_pylist()
    placed = [r for r in rows if r["bbox"] is not None]
    assert len(placed) > 150
    for r in placed:
        assert r["bbox"] == dict(zip(SIDES, (r["longitude"], r["latitude"]) * 2, strict=True))
    found = boxes(file)
    assert len(found) == 3  # row groups of 64 rows; those of the fourth have no position
    assert all(a["xmax"] < b["xmin"] for a, b in pairwise(found))  # the drive goes east
    west, east = found[1]["xmin"], found[1]["xmax"]
    within = gpd.read_parquet(tmp_path / "out" / "frames", bbox=(west, 0.0, east, 90.0))
    assert sorted(within["frame_index"]) == [
        r["frame_index"] for r in placed if west <= r["longitude"] <= east
    ]
    assert len(within) == 64


def test_a_box_over_many_files(two: Path) -> None:
    everything = gpd.read_parquet(two / "frames")
    middle = everything["longitude"].median()
    within = gpd.read_parquet(two / "frames", bbox=(middle, -90, 180, 90))
    assert sorted(within["frame_id"]) == sorted(
        everything[everything["longitude"] >= middle]["frame_id"]
    )
    assert 0 < len(within) < 20
    assert len(gpd.read_parquet(two / "frames", bbox=(-60, -60, -50, -50))) == 0


def test_rewritten_and_repaired_shards_are_read_as_one_table(tmp_path: Path, segpipe: Call) -> None:
    clip = make_video(tmp_path / "20260501_100000.mp4", frames=40, fps=20)
    (tmp_path / "bad.mp4").write_text("words")
    out, extra = tmp_path / "out", ("--set", "store.frames_per_shard=10", "--timezone", "UTC")
    track = tmp_path / "20260501_100000.gpx"
    run = ("run", clip, tmp_path / "bad.mp4", "-o", out, *FAKE, *extra)
    write_gpx(track, TEN, eastwards(10))
    segpipe(*run)
    before = {f.name: shared_geo(f) for f in files_of(out)}
    write_gpx(track, TEN, [(lat + 0.01, lon) for lat, lon in eastwards(10)])
    assert "no inference was run" in segpipe(*run)[1]  # only times and positions are updated
    assert {f.name: shared_geo(f) for f in files_of(out)} == before
    moved = gpd.read_parquet(out / "frames")
    assert moved.geometry.y.dropna().tolist() == moved["latitude"].dropna().tolist()
    assert moved["latitude"].min() == pytest.approx(52.01)
    assert all(b["ymin"] > 52.005 for f in files_of(out) for b in boxes(f))
    for mask in (out / "masks").glob("2026*"):
        mask.unlink()
    clip.unlink()
    segpipe("verify", out, "--repair")  # the video is away: failed rows stand for its frames
    assert {json.dumps(shared_geo(f)) for f in files_of(out)} == {
        json.dumps(next(iter(before.values())))
    }
    assert len(gpd.read_parquet(out / "frames")) == open_dataset(out).arrow("frames").num_rows
    assert segpipe("verify", out)[0] == 0


def test_a_folder_is_read_while_a_stream_records(tmp_path: Path, segpipe: Call) -> None:
    """What isn't whole yet lies in the folder, too; readers of the folder pass over it."""
    clip = make_ts(tmp_path / "clip.ts", 20)
    with http_server(lambda handler: send(handler, clip.read_bytes(), "video/mp2t")) as url:
        segpipe("run", f"{url}/clip.ts", "-o", tmp_path / "out", *FAKE)
    rows = open_dataset(tmp_path / "out").arrow("frames").num_rows
    assert rows == 20
    (file, *_) = files_of(tmp_path / "out")
    temp_path(file).write_bytes(b"half")
    layer = gpd.read_parquet(tmp_path / "out" / "frames")
    assert len(layer) == rows
    assert layer.geometry.isna().all()


def test_one_table_in_memory_can_be_written_as_a_layer(two: Path, tmp_path: Path) -> None:
    pq.write_table(open_dataset(two).arrow("frames"), tmp_path / "all.parquet")
    assert len(gpd.read_parquet(tmp_path / "all.parquet", bbox=(-180, -90, 180, 90))) == 20


def test_a_table_read_in_duckdb_has_geometries_wherever_it_lies(tmp_path: Path) -> None:
    """Files of a path that DuckDB would take for a pattern are read through Arrow, as those of an
    object store are."""
    for name in ("plain", "with [brackets]"):
        root = tmp_path / name
        dataset = write_dataset(
            root, [Clip("one", 3, {("frame", "road"): 0.5}, **along([0, 10, 20]))]
        )
        found = (
            dataset.duckdb()
            .sql(
                "SELECT typeof(geometry), st_astext(geometry), bbox.xmin FROM frames ORDER BY "
                "frame_id"
            )
            .fetchall()
        )
        assert [kind for kind, _, _ in found] == ["GEOMETRY('OGC:CRS84')"] * 3
        assert found[0][1:] == ("POINT (-0.12 51.5)", -0.12)
