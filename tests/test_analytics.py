"""Events, layers and differences of datasets whose answers are known by construction."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import geopandas
import h3
import numpy as np
import pyarrow.parquet as pq
import pytest
import shapely

from segpipe.analytics.aggregate import INDICATORS, Exposure, aggregate
from segpipe.analytics.cells import Cells, hexagon, line
from segpipe.analytics.diff import diff
from segpipe.analytics.events import as_geometry, find_events
from segpipe.analytics.layers import write_layer
from segpipe.analytics.picture import Caption, draw, way_of
from segpipe.cli import analysing
from segpipe.errors import ConfigError, DatasetError
from segpipe.store.dataset import Dataset
from tests.synthetic import START, Clip, along, write_dataset

PATH = "class = 'pedestrian' and region = 'path' and pixel_fraction > 0.01"


def seen(frames: int, *spans: tuple[int, int], value: float = 0.05) -> np.ndarray:
    found = np.zeros(frames)
    for first, end in spans:
        found[first:end] = value
    return found


def walk(tmp_path: Path, *spans: tuple[int, int], frames: int = 200, **clip: object) -> Dataset:
    """A clip of 10 frames a second, due east at 5 m/s, with a pedestrian in the path in these frames."""
    share = seen(frames, *spans)
    share[share > 0] += np.linspace(0, 0.01, int((share > 0).sum()))
    place = along(np.arange(frames) * 0.5)
    one = Clip("a", frames, {("path", "pedestrian"): share, ("frame", "road"): 0.4}, **{**place, **clip})  # type: ignore[arg-type]
    return write_dataset(tmp_path / "d", [one])


class TestEvents:
    def test_gaps_are_bridged_and_short_events_dropped(self, tmp_path: Path) -> None:
        # 20 frames, 5 missing (0.5 s: bridged), 10 frames; then 9 frames alone, which last 0.9 s.
        found = find_events(walk(tmp_path, (10, 30), (35, 45), (100, 109)).duckdb(), PATH).to_pylist()
        assert len(found) == 1
        event = found[0]
        assert event["frames"] == 30
        assert event["seconds"] == pytest.approx(3.5)
        assert event["start_s"] == pytest.approx(1.0)
        assert event["end_s"] == pytest.approx(4.5)
        assert event["peak_s"] == pytest.approx(4.4)
        assert event["metres"] == pytest.approx(17.5)
        assert event["start_time"] == START + timedelta(seconds=1)
        assert event["end_time"] == START + timedelta(seconds=4.5)
        assert event["drive_id"] == "a"

    def test_a_gap_of_six_frames_parts_them(self, tmp_path: Path) -> None:
        connection = walk(tmp_path, (10, 30), (36, 46)).duckdb()
        assert find_events(connection, PATH)["frames"].to_pylist() == [20, 10]
        assert find_events(connection, PATH, max_gap_s=0.6)["frames"].to_pylist() == [30]
        assert find_events(connection, PATH, min_seconds=1.5)["frames"].to_pylist() == [20]

    def test_frames_last_as_long_as_they_are_many(self, tmp_path: Path) -> None:
        assert find_events(walk(tmp_path, (10, 20)).duckdb(), PATH)["seconds"].to_pylist() == [1.0]

    def test_by_metres_a_standstill_is_no_gap(self, tmp_path: Path) -> None:
        metres = np.concatenate([np.arange(50) * 0.5, np.full(100, 25.0), 25 + np.arange(1, 51) * 0.5])
        dataset = walk(tmp_path, (20, 48), (152, 180), **along(metres))
        assert len(find_events(dataset.duckdb(), PATH)) == 2
        found = find_events(dataset.duckdb(), PATH, by="metres", max_gap_m=3).to_pylist()
        assert [e["frames"] for e in found] == [56]
        assert found[0]["metres"] == pytest.approx(metres[180] - metres[20])
        assert not len(find_events(dataset.duckdb(), PATH, by="metres", min_metres=50))

    def test_the_peak_keeps_its_place_and_unknown_places_stay_unknown(self, tmp_path: Path) -> None:
        place = along(np.arange(200) * 0.5)
        place["latitude"][25:], place["longitude"][25:], place["track_m"][25:] = np.nan, np.nan, np.nan
        dataset = walk(tmp_path, (10, 30), **place)
        event = find_events(dataset.duckdb(), PATH).to_pylist()[0]
        assert event["start_latitude"] == 51.5
        assert event["peak_latitude"] is None
        assert event["end_longitude"] is None
        assert as_geometry(find_events(dataset.duckdb(), PATH)).geometry.tolist() == [None]
        assert event["metres"] == pytest.approx(7.0)
        assert find_events(dataset.duckdb(), PATH, by="metres", min_metres=1)["frames"].to_pylist() == [15]

    def test_seek_is_from_the_start_of_the_file_and_sources_stay_apart(self, tmp_path: Path) -> None:
        shares = {("path", "pedestrian"): seen(50, (0, 50))}
        clips = [Clip("a", 50, shares, "drive", 0, media_start_s=100.0), Clip("b", 50, shares, "drive", 1)]
        found = find_events(write_dataset(tmp_path, clips).duckdb(), PATH).to_pylist()
        assert [(e["source_id"], e["start_s"], e["seek_s"], e["seconds"]) for e in found] == [("a", 100, 0, 5), ("b", 0, 0, 5)]
        assert [e["metres"] for e in found] == [None, None]

    def test_photographs_without_any_time(self, tmp_path: Path) -> None:
        clip = Clip("a", 5, {("path", "pedestrian"): 0.1}, step_s=None, start=None)
        connection = write_dataset(tmp_path, [clip]).duckdb()
        assert not len(find_events(connection, PATH))
        assert len(find_events(connection, PATH, min_seconds=0)) == 5

    @pytest.mark.parametrize(
        "where",
        ["", "colour = 1", "class =", "true; drop table x", "true) union select 1 --", "count(*) > 1", "class", "true, true"],
    )
    def test_a_wrong_condition_names_the_columns(self, tmp_path: Path, where: str) -> None:
        with pytest.raises(ConfigError, match=r"pixel_fraction.*largest_component_fraction.*speed_mps"):
            find_events(walk(tmp_path).duckdb(), where)

    def test_wrong_settings(self, tmp_path: Path) -> None:
        connection = walk(tmp_path).duckdb()
        for wrong in ({"by": "frames"}, {"max_gap_m": 3}, {"by": "metres", "max_gap_s": 1}, {"min_seconds": -1}):
            with pytest.raises(ConfigError):
                find_events(connection, PATH, **wrong)  # type: ignore[arg-type]

    def test_nulls_are_no_match(self, tmp_path: Path) -> None:
        assert not len(find_events(walk(tmp_path, (10, 30)).duckdb(), "speed_mps > 0"))


class TestAggregate:
    def test_metres_weigh_and_absent_classes_count_as_zero(self, tmp_path: Path) -> None:
        # 20 m through trees, then 100 frames at a red light before a wall, then 20 m without either.
        metres = np.concatenate([np.arange(20.0), np.full(100, 20.0), 21 + np.arange(20.0)])
        shares = {("frame", "tree"): seen(140, (0, 20), value=0.5), ("frame", "building"): seen(140, (20, 120), value=0.9)}
        connection = write_dataset(tmp_path, [Clip("a", 140, shares, **along(metres))]).duckdb()
        row = aggregate(connection, "metres:1000").frame.iloc[0]
        assert row["frames"] == 140
        assert row["metres"] == pytest.approx(40)
        assert row["green_view"] == pytest.approx(
            0.5 * 19.5 / 40
        )  # the last of the trees' frames stands for 1 m, the first for half
        assert row["built"] == pytest.approx(0.9 * 1 / 40)
        same = aggregate(connection, "metres:1000", Exposure("frames")).frame.iloc[0]
        assert same["green_view"] == pytest.approx(0.5 * 20 / 140)
        assert same["sky_view"] == 0

    def test_bins_follow_the_drive_through_its_clips(self, tmp_path: Path) -> None:
        shares = {("frame", "sky"): 0.3}
        place = along(np.arange(31.0))
        later = {**along(np.arange(31.0), longitude=-0.119), "start": START + timedelta(seconds=10)}
        clips = [Clip("a", 31, shares, "drive", 0, **place), Clip("b", 31, shares, "drive", 1, **later)]
        found = aggregate(write_dataset(tmp_path, clips).duckdb(), "metres:20").frame
        assert found["cell"].tolist() == [f"drive:{i:06d}" for i in range(4)]
        assert found["frames"].tolist() == [20, 21, 20, 1]  # metres 30 of the first clip and 0 of the second are the same place
        assert found["metres"].sum() == pytest.approx(60)
        assert found.geometry.iloc[0].geom_type == "LineString"
        assert found.geometry.iloc[3].geom_type == "Point"
        assert np.isnan(found["sky_view"].iloc[3])
        assert found["sky_view"].iloc[0] == pytest.approx(0.3)

    def test_unusable_frames_and_holes_have_no_exposure(self, tmp_path: Path) -> None:
        metres = np.concatenate([np.arange(10.0), 800 + np.arange(10.0)])
        clip = Clip("a", 20, {("frame", "sky"): 0.3}, usable=np.arange(20) != 5, failed=(15,), **along(metres))
        row = aggregate(write_dataset(tmp_path, [clip]).duckdb(), "metres:1000").frame.iloc[0]
        assert row["frames"] == 18
        assert row["metres"] == pytest.approx(9 - 1 + 9 - 1)

    def test_passes_are_visits(self, tmp_path: Path) -> None:
        place = {n: np.broadcast_to(v, 60).copy() for n, v in along(np.zeros(60)).items()}
        place["latitude"][20:40] = 51.6  # away for 20 frames
        shares = {("frame", "sky"): 0.3}
        exposure = Exposure("frames")
        for seconds, passes in ((1.0, 1), (10.0, 2)):
            root = tmp_path / str(seconds)
            found = aggregate(
                write_dataset(root, [Clip("a", 60, shares, step_s=seconds, **place)]).duckdb(), "h3:10", exposure
            ).frame
            assert found.set_index("cell").loc[h3.latlng_to_cell(51.5, -0.12, 10), "passes"] == passes
        clips = [Clip(n, 60, shares, **{**place, "track_m": np.nan}) for n in "ab"]
        found = aggregate(write_dataset(tmp_path / "two", clips).duckdb(), "h3:10", exposure).frame
        assert set(found["passes"]) == {2}
        assert found["metres"].isna().all()

    def test_photographs_need_the_weight_of_frames(self, tmp_path: Path) -> None:
        clip = Clip("a", 5, {("frame", "sky"): 0.3}, step_s=None, latitude=51.5, longitude=-0.12)
        connection = write_dataset(tmp_path, [clip]).duckdb()
        layer = aggregate(connection, "h3:9")
        assert layer.frame["sky_view"].isna().all()
        assert "weight 'frames'" in layer.notes[0]
        assert aggregate(connection, "h3:9", Exposure("frames")).frame["sky_view"].tolist() == [pytest.approx(0.3)]

    @pytest.mark.parametrize(
        "by", ["h3:16", "h3:-1", "h3:9.5", "h3", "metres:0", "metres:-5", "metres:nan", "metres:inf", "squares:5", ""]
    )
    def test_other_cells_are_refused(self, by: str) -> None:
        with pytest.raises(ConfigError, match="from 0 to 15"):
            Cells.parse(by)

    def test_no_position_gives_an_empty_layer(self, tmp_path: Path) -> None:
        connection = write_dataset(tmp_path, [Clip("a", 5, {("frame", "sky"): 0.3})]).duckdb()
        for by in ("h3:10", "metres:50"):
            layer = aggregate(connection, by)
            assert layer.frame.empty
            assert "no usable frame" in layer.notes[0]
            write_layer(layer.frame, tmp_path / "empty.parquet")
            assert geopandas.read_parquet(tmp_path / "empty.parquet").empty
        with pytest.raises(DatasetError, match="no cell to draw"):
            draw(layer.frame, "green_view", tmp_path / "p.png", Caption("", "", ""), [])


class TestShapes:
    def test_hexagons_at_the_antimeridian_are_cut(self) -> None:
        east = hexagon(h3.latlng_to_cell(-16.8, 179.9999, 7))
        assert east.geom_type == "MultiPolygon"
        assert east.is_valid
        assert east.bounds == (-180.0, pytest.approx(-16.8, abs=0.1), 180.0, pytest.approx(-16.8, abs=0.1))
        assert all(np.ptp(np.asarray(p.exterior.coords)[:, 0]) < 0.1 and p.exterior.is_ccw for p in east.geoms)
        assert hexagon(h3.latlng_to_cell(51.5, 0.0, 7)).contains(shapely.Point(0.0, 51.5))

    def test_lines(self) -> None:
        assert line(np.array([[1.0, 2.0], [1.0, 2.0]])).geom_type == "Point"
        assert len(line(np.array([[179.9, 0.0], [179.99, 0], [-179.99, 0], [-179.9, 0]])).geoms) == 2


class TestDiff:
    @staticmethod
    def dataset(root: Path, passes: int, green: float, spread: float, seed: int = 0) -> Dataset:
        """Drives due east over 2 km, each with its own light: the greenery of a pass is the street's and some chance."""
        rng, metres = np.random.default_rng(seed), np.arange(0, 2000, 4.0)
        street = np.where(metres < 1000, green, 0.2)
        clips = [
            Clip(f"{root.name}{i}", 500, {("frame", "tree"): np.clip(street + rng.normal(0, spread), 0, 1), ("frame", "sky"): 0.3},
                 start=START + timedelta(days=i), **along(metres))
            for i in range(passes)
        ]  # fmt: skip
        return write_dataset(root, clips)

    def test_what_changed_is_significant_and_what_did_not_is_not(self, tmp_path: Path) -> None:
        before, after = self.dataset(tmp_path / "a", 6, 0.4, 0.02, 1), self.dataset(tmp_path / "b", 6, 0.2, 0.02, 2)
        found = diff(before.duckdb(), after.duckdb(), "h3:9")
        assert not found.warnings
        green = found.frame[found.frame["indicator"] == "green_view"]
        east = green.geometry.bounds.minx > -0.12 + 1000 / 69_200
        west = green.geometry.bounds.maxx < -0.12 + 1000 / 69_200
        assert green[west]["significant"].all()
        assert not green[east]["significant"].any()
        assert green[west]["change"].mean() == pytest.approx(-0.2, abs=0.03)
        assert green["noise"].mean() == pytest.approx(0.02 * np.sqrt(2 / 6), rel=0.5)
        sky = found.frame[found.frame["indicator"] == "sky_view"]
        assert sky["change"].abs().max() < 1e-12
        assert not sky["significant"].any()
        assert set(found.frame["indicator"]) == set(INDICATORS)

    def test_a_single_pass_borrows_the_spread_of_the_other_dataset(self, tmp_path: Path) -> None:
        before, after = self.dataset(tmp_path / "a", 6, 0.4, 0.02, 1), self.dataset(tmp_path / "b", 1, 0.4, 0.02, 2)
        found = diff(before.duckdb(), after.duckdb(), "h3:9")
        assert "passed twice in B" in found.warnings[0]
        green = found.frame[found.frame["indicator"] == "green_view"]
        assert green["noise"].mean() == pytest.approx(0.02 * np.sqrt(1 + 1 / 6), rel=0.5)

    def test_without_repeated_passes_nothing_is_called_significant(self, tmp_path: Path) -> None:
        before, after = self.dataset(tmp_path / "a", 1, 0.4, 0), self.dataset(tmp_path / "b", 1, 0.2, 0)
        found = diff(before.duckdb(), after.duckdb(), "h3:9")
        assert "passed twice" in found.warnings[0]
        assert found.frame["noise"].isna().all()
        assert found.frame["significant"].isna().all()
        write_layer(found.frame, tmp_path / "d.parquet")
        assert pq.read_table(tmp_path / "d.parquet")["significant"].null_count == len(found.frame)

    def test_chance_is_called_a_change_one_time_in_twenty_at_most(self, tmp_path: Path) -> None:
        calls = []
        for seed in range(3):
            rng, metres = np.random.default_rng(seed), np.arange(0, 30_000, 20.0)
            both = []
            for side in "ab":
                light = [np.repeat(rng.normal(0.3, 0.03, 150), 10) for _ in range(3)]  # of each piece of street anew
                clips = [Clip(f"{side}{i}", 1500, {("frame", "tree"): v}, **along(metres)) for i, v in enumerate(light)]
                both.append(write_dataset(tmp_path / f"{side}{seed}", clips).duckdb())
            green = diff(both[0], both[1], "h3:9").frame.query("indicator == 'green_view'")
            calls.append(float(green["significant"].mean()))
        assert np.mean(calls) < 0.08

    def test_two_passes_that_agree_by_chance_are_no_proof(self, tmp_path: Path) -> None:
        rng, metres, both = np.random.default_rng(5), np.arange(0, 10_000, 20.0), []
        cells = [h3.latlng_to_cell(y, x, 9) for y, x in zip(*list(along(metres).values())[:2], strict=True)]
        quiet = np.array([c == cells[250] for c in cells])
        for side, value in (("a", 0.3), ("b", 0.305)):
            light = [np.where(quiet, value, np.repeat(rng.normal(0.3, 0.03, 50), 10)) for _ in range(2)]
            clips = [Clip(f"{side}{i}", 500, {("frame", "tree"): v}, **along(metres)) for i, v in enumerate(light)]
            both.append(write_dataset(tmp_path / side, clips).duckdb())
        row = diff(both[0], both[1], "h3:9").frame.query(f"indicator == 'green_view' and cell == '{cells[250]}'").iloc[0]
        assert row["change"] == pytest.approx(0.005)
        assert row["noise"] > 0.005
        assert not row["significant"]

    def test_only_h3(self, tmp_path: Path) -> None:
        connection = walk(tmp_path).duckdb()
        with pytest.raises(ConfigError, match="share no odometer"):
            diff(connection, connection, "metres:50")

    def test_nothing_in_common(self, tmp_path: Path) -> None:
        a, b = (write_dataset(tmp_path / n, [Clip(n, 50, {("frame", "sky"): 0.3}, **along(np.arange(50.0), lat))])
                for n, lat in (("a", 51.5), ("b", 40.0)))  # fmt: skip
        found = diff(a.duckdb(), b.duckdb(), "h3:10")
        assert found.frame.empty
        assert any("nothing can be compared" in w for w in found.warnings)


class TestFiles:
    def test_geoparquet_and_geojson(self, tmp_path: Path) -> None:
        connection = walk(tmp_path, (10, 40)).duckdb()
        events = as_geometry(find_events(connection, PATH))
        layer = aggregate(connection, "h3:10").frame
        for name, frame in (("events", events), ("layer", layer)):
            write_layer(frame, tmp_path / f"{name}.parquet")
            write_layer(frame, tmp_path / f"{name}.geojson")
            geo = json.loads(pq.read_metadata(tmp_path / f"{name}.parquet").metadata[b"geo"])
            assert geo["version"] == "1.1.0"
            assert geo["columns"]["geometry"]["crs"]["id"] == {"authority": "OGC", "code": "CRS84"}
            back = geopandas.read_parquet(tmp_path / f"{name}.parquet")
            assert len(back) == len(frame)
            assert back.crs == "OGC:CRS84"
            features = json.loads((tmp_path / f"{name}.geojson").read_text())["features"]
            assert len(features) == len(frame)
            assert features[0]["geometry"]["coordinates"]
        assert not list(tmp_path.glob("*.tmp"))
        nulls = pq.read_table(tmp_path / "layer.parquet")["green_view"].null_count
        assert nulls == int(layer["green_view"].isna().sum())
        with pytest.raises(ConfigError, match=r"\.geojson"):
            write_layer(layer, tmp_path / "layer.shp")

    def test_pictures(self, tmp_path: Path) -> None:
        connection = walk(tmp_path, (10, 40)).duckdb()
        for by in ("h3:11", "metres:20"):
            path = tmp_path / f"{by[:2]}.png"
            draw(aggregate(connection, by).frame, "drivable", path, Caption("Road", "a street", "share"), way_of(connection))
            assert path.read_bytes().startswith(b"\x89PNG")
        with pytest.raises(ConfigError, match="green_view"):
            draw(aggregate(connection, "h3:11").frame, "colour", tmp_path / "x.png", Caption("", "", ""), [])


class TestCommands:
    def test_events(self, tmp_path: Path, segpipe: Callable[..., tuple[int, str, str]]) -> None:
        root = walk(tmp_path, (10, 40)).root
        code, out, _ = segpipe("events", root, "--where", PATH, "--format", "json")
        assert code == 0
        assert [e["frames"] for e in json.loads(out)] == [30]
        assert "1.0,4.0,1.0" in segpipe("events", root, "--where", PATH, "--format", "csv")[1]
        assert segpipe("events", root, "--where", PATH)[0] == 0
        assert segpipe("events", root, "--where", PATH, "-o", tmp_path / "e.parquet")[0] == 0
        assert segpipe("events", root, "--where", "nothing = 1")[0] == 2
        assert segpipe("events", root, "--where", PATH, "-o", tmp_path / "e.gpkg")[0] == 2

    def test_aggregate_and_diff(self, tmp_path: Path, segpipe: Callable[..., tuple[int, str, str]]) -> None:
        root = walk(tmp_path, (10, 40)).root
        files = [tmp_path / n for n in ("l.parquet", "l.geojson", "l.png", "d.parquet", "d.png")]
        code, out, _ = segpipe("aggregate", root, "--by", "h3:11", "-o", *files[:2], "--picture", files[2])
        assert code == 0
        assert "100 m" in out
        code, out, err = segpipe(
            "diff", root, root, "--by", "h3:11", "-o", files[3], "--picture", files[4], "--indicator", "drivable"
        )
        assert code == 0
        assert "passed twice" in err
        assert all(f.exists() for f in files)
        assert segpipe("aggregate", root, "--by", "metres:20")[0] == 0
        assert segpipe("diff", root, root, "--by", "h3:11")[0] == 0
        assert segpipe("aggregate", root, "--by", "h3:99")[0] == 2
        assert segpipe("diff", root, root, "--by", "metres:20")[0] == 2
        assert segpipe("aggregate", tmp_path / "none", "--by", "h3:9")[0] == 5

    def test_the_flags_name_the_indicators(self) -> None:
        assert analysing.INDICATORS == INDICATORS
