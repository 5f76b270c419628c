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

from segpipe.analysis.aggregate import INDICATORS, aggregate
from segpipe.analysis.cells import Cells, hexagon, line
from segpipe.analysis.diff import diff
from segpipe.analysis.events import as_geometry, find_events
from segpipe.analysis.exposure import Exposure
from segpipe.analysis.layers import write_layer
from segpipe.analysis.picture import Caption, draw, way_of
from segpipe.cli import dataset_arguments
from segpipe.core.errors import ConfigError, DatasetError
from segpipe.store.dataset import Dataset, open_dataset
from tests.damage import put, rewrite
from tests.synthetic import START, Clip, along, write_dataset

PATH = "class = 'pedestrian' and region = 'path' and pixel_fraction > 0.01"


def seen(frames: int, *spans: tuple[int, int], value: float = 0.05) -> np.ndarray:
    found = np.zeros(frames)
    for first, end in spans:
        found[first:end] = value
    return found


def walk(tmp_path: Path, *spans: tuple[int, int], frames: int = 200, **clip: object) -> Dataset:
    """A clip of 10 frames a second, due east at 5 m/s, with a pedestrian in the path in these
    frames."""
    share = seen(frames, *spans)
    share[share > 0] += np.linspace(0, 0.01, int((share > 0).sum()))
    place = along(np.arange(frames) * 0.5)
    one = Clip(
        "a", frames, {("path", "pedestrian"): share, ("frame", "road"): 0.4}, **{**place, **clip}
    )  # type: ignore[arg-type]
    return write_dataset(tmp_path / "d", [one])


class TestEvents:
    def test_gaps_are_bridged_and_short_events_dropped(self, tmp_path: Path) -> None:
        # 20 frames, 5 missing (0.5 s: bridged), 10 frames; then 9 frames alone, which last 0.9 s.
        found = find_events(
            walk(tmp_path, (10, 30), (35, 45), (100, 109)).duckdb(), PATH
        ).to_pylist()
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
        metres = np.concatenate(
            [np.arange(50) * 0.5, np.full(100, 25.0), 25 + np.arange(1, 51) * 0.5]
        )
        dataset = walk(tmp_path, (20, 48), (152, 180), **along(metres))
        assert len(find_events(dataset.duckdb(), PATH)) == 2
        found = find_events(dataset.duckdb(), PATH, by="metres", max_gap_m=3).to_pylist()
        assert [e["frames"] for e in found] == [56]
        assert found[0]["metres"] == pytest.approx(metres[180] - metres[20])
        assert not len(find_events(dataset.duckdb(), PATH, by="metres", min_metres=50))

    def test_the_peak_keeps_its_place_and_unknown_places_stay_unknown(self, tmp_path: Path) -> None:
        place = along(np.arange(200) * 0.5)
        place["latitude"][25:], place["longitude"][25:], place["odometer_m"][25:] = (
            np.nan,
            np.nan,
            np.nan,
        )
        dataset = walk(tmp_path, (10, 30), **place)
        event = find_events(dataset.duckdb(), PATH).to_pylist()[0]
        assert event["start_latitude"] == 51.5
        assert event["peak_latitude"] is None
        assert event["end_longitude"] is None
        assert as_geometry(find_events(dataset.duckdb(), PATH)).geometry.tolist() == [None]
        assert event["metres"] == pytest.approx(7.0)
        assert find_events(dataset.duckdb(), PATH, by="metres", min_metres=1)[
            "frames"
        ].to_pylist() == [15]

    def test_seek_is_from_the_start_of_the_file_and_sources_stay_apart(
        self, tmp_path: Path
    ) -> None:
        shares = {("path", "pedestrian"): seen(50, (0, 50))}
        clips = [
            Clip("a", 50, shares, "drive", 0, media_start_s=100.0),
            Clip("b", 50, shares, "drive", 1),
        ]
        found = find_events(write_dataset(tmp_path, clips).duckdb(), PATH).to_pylist()
        assert [(e["source_id"], e["start_s"], e["seek_s"], e["seconds"]) for e in found] == [
            ("a", 100, 0, 5),
            ("b", 0, 0, 5),
        ]
        assert [e["metres"] for e in found] == [None, None]

    def test_photographs_without_any_time(self, tmp_path: Path) -> None:
        clip = Clip("a", 5, {("path", "pedestrian"): 0.1}, step_s=None, start=None)
        connection = write_dataset(tmp_path, [clip]).duckdb()
        assert find_events(connection, PATH)["frames"].to_pylist() == [1] * 5
        assert find_events(connection, PATH)["seconds"].null_count == 5

    @pytest.mark.parametrize(
        "where",
        [
            "",
            "colour = 1",
            "class =",
            "true; drop table x",
            "true) union select 1 --",
            "count(*) > 1",
            "class",
            "true, true",
        ],
    )
    def test_a_wrong_condition_names_the_columns(self, tmp_path: Path, where: str) -> None:
        with pytest.raises(
            ConfigError, match=r"pixel_fraction.*largest_component_fraction.*speed_mps"
        ):
            find_events(walk(tmp_path).duckdb(), where)

    @pytest.mark.parametrize(
        ("where", "message"),
        [
            (
                "class = 'pedestrain'",
                r"no class 'pedestrain'; the nearest: pedestrian; there are sky, building",
            ),
            (
                "'Pedestrian' <> class_name or true",
                r"no class 'Pedestrian'; the nearest: pedestrian",
            ),
            ("class in ('car', 'bus') and region = 'path'", r"no class 'bus'; .*there are sky"),
            (
                "not (observations.\"common\" = 'people'::VARCHAR)",
                r"no common class 'people'.*; there are building, cyclist",
            ),
            (
                "case when region = 'front' then true end",
                r"no region 'front'; .*there are frame, left, right, near",
            ),
            ("region is not distinct from $$pathh$$", r"no region 'pathh'; the nearest: path"),
            (
                "pixel_fraction > 0 and class like 'pedex%'",
                r"no class for which \"class\" LIKE 'pedex%'; the nearest: pedestrian",
            ),
            (
                "not (lower(region) = 'pth' or true)",
                r"region for which lower\(region\) = 'pth'; the nearest: path;",
            ),
            ("class_id = 99", r"no class for which class_id = 99; there are 0 \(sky\), 1 \("),
            ("class_id in (9, 77)", r"no class for which class_id = 77; there are 0 \(sky\)"),
            ("class_id not in (9, 77)", r"no class for which class_id = 77; there are 0 \(sky\)"),
            ("class_id <> 77", r"no class for which class_id = 77; there are 0 \(sky\)"),
            ("class_name <> 'persn'", r"no class 'persn'; the nearest: pedestrian"),
            (
                "class_name not like 'pedex%'",
                r"no class for which class_name LIKE 'pedex%'; the nearest: pedestrian",
            ),
            ("class not ilike 'foo%'", r"no class for which \"class\" ILIKE 'foo%'; there are sky"),
            (
                "lower(class) <> 'persn'",
                r"no class for which lower\(\"class\"\) = 'persn'; the nearest: ped",
            ),
            (
                "lower(class) in ('car', 'persn')",
                r"for which lower\(\"class\"\) = 'persn'; the nearest: ped",
            ),
            (
                "class in ['persn']",
                r"no class for which contains\(list_value\('persn'\), \"class\"\); the nearest: "
                r"pedestrian",
            ),
        ],
    )
    def test_a_name_that_does_not_exist_is_a_mistake(
        self, tmp_path: Path, where: str, message: str
    ) -> None:
        with pytest.raises(ConfigError, match=message):
            find_events(walk(tmp_path).duckdb(), where)

    def test_texts_that_are_no_names_are_left_alone(self, tmp_path: Path) -> None:
        connection = walk(tmp_path, (10, 30)).duckdb()
        for where in (
            "class like 'ped%'",
            "uri <> 'class = nobody' and region = 'path'",
            "lower(class) = 'pedestrian' and region = 'path'",
            "class = 'pedestrian' /* region = 'nowhere' */",
            "class_id = 9",
            "starts_with(class, 'ped') and pixel_fraction < 2",
            "class_id in (9, null) and class not like 's%'",
            "class = 'pedestrian' and class is distinct from null",
        ):
            assert len(find_events(connection, where)) == 1

    def test_photographs_have_no_duration(self, tmp_path: Path) -> None:
        """Three photos 3 m and 1 s apart, and two more 394 m further on, the next second."""
        moments = [round((START.timestamp() + s) * 1e6) for s in (0, 1, 2, 3, 4)]
        place = {**along([0, 3, 6, 400, 403]), "columns": {"timestamp": moments}}
        connection = write_dataset(
            tmp_path, [Clip("a", 5, {("path", "pedestrian"): 0.1}, step_s=None, **place)]
        ).duckdb()

        def events(**settings: object) -> list[tuple[int, float | None, float]]:
            found = find_events(connection, PATH, **settings).to_pylist()  # type: ignore[arg-type]
            return [(e["frames"], e["seconds"], round(e["metres"], 6)) for e in found]

        assert events() == [(1, None, 0)] * 5  # the default gap of 0.5 s holds between photos
        assert events(max_gap_s=1.0) == [(5, None, 403)]
        assert events(by="metres") == [(3, None, 6), (2, None, 3)]
        assert events(by="metres", max_gap_m=2) == [(1, None, 0)] * 5
        assert events(by="metres", min_metres=5) == [(3, None, 6)]

    @pytest.mark.parametrize("by", ["time", "metres"])
    @pytest.mark.parametrize("step_s", [0.04, 1.0, 30.0])
    def test_no_default_leaves_all_events_out(self, tmp_path: Path, by: str, step_s: float) -> None:
        """However few frames a second were taken: somebody who is there for a minute of driving is
        an event."""
        frames = max(10, round(60 / step_s))
        clip = Clip(
            "a",
            frames,
            {("path", "pedestrian"): 0.1},
            step_s=step_s,
            **along(np.arange(frames) * step_s * 5),
        )
        found = find_events(write_dataset(tmp_path, [clip]).duckdb(), PATH, by=by)  # type: ignore[arg-type]
        assert found["frames"].to_pylist() == [frames]

    def test_wrong_settings(self, tmp_path: Path) -> None:
        connection = walk(tmp_path).duckdb()
        for wrong in (
            {"by": "frames"},
            {"max_gap_m": 3},
            {"by": "metres", "max_gap_s": 1},
            {"min_seconds": -1},
        ):
            with pytest.raises(ConfigError):
                find_events(connection, PATH, **wrong)  # type: ignore[arg-type]

    def test_nulls_are_no_match(self, tmp_path: Path) -> None:
        assert not len(find_events(walk(tmp_path, (10, 30)).duckdb(), "speed_mps > 0"))


class TestAggregate:
    def test_metres_weigh_and_absent_classes_count_as_zero(self, tmp_path: Path) -> None:
        # 20 m through trees, then 100 frames at a red light before a wall, then 20 m without
        # either.
        metres = np.concatenate([np.arange(20.0), np.full(100, 20.0), 21 + np.arange(20.0)])
        shares = {
            ("frame", "tree"): seen(140, (0, 20), value=0.5),
            ("frame", "building"): seen(140, (20, 120), value=0.9),
        }
        connection = write_dataset(tmp_path, [Clip("a", 140, shares, **along(metres))]).duckdb()
        row = aggregate(connection, "metres:1000").frame.iloc[0]
        assert row["frames"] == 140
        assert row["metres"] == pytest.approx(40)
        # The last of the trees' frames stands for 1 m, the first for half
        assert row["green_view"] == pytest.approx(0.5 * 19.5 / 40)
        assert row["built"] == pytest.approx(0.9 * 1 / 40)
        same = aggregate(connection, "metres:1000", Exposure("frames")).frame.iloc[0]
        assert same["green_view"] == pytest.approx(0.5 * 20 / 140)
        assert same["sky_view"] == 0

    def test_bins_follow_the_drive_through_its_clips(self, tmp_path: Path) -> None:
        shares = {("frame", "sky"): 0.3}
        place = along(np.arange(31.0))
        later = {**along(np.arange(31.0), longitude=-0.119), "start": START + timedelta(seconds=10)}
        clips = [
            Clip("a", 31, shares, "drive", 0, **place),
            Clip("b", 31, shares, "drive", 1, **later),
        ]
        found = aggregate(write_dataset(tmp_path, clips).duckdb(), "metres:20").frame
        assert found["cell"].tolist() == [f"drive:{i:06d}" for i in range(4)]
        # Metres 30 of the first clip and 0 of the second are the same place.
        assert found["frames"].tolist() == [
            20,
            21,
            20,
            1,
        ]
        assert found["metres"].sum() == pytest.approx(60)
        assert found.geometry.iloc[0].geom_type == "LineString"
        assert found.geometry.iloc[3].geom_type == "Point"
        assert np.isnan(found["sky_view"].iloc[3])
        assert found["sky_view"].iloc[0] == pytest.approx(0.3)

    def test_unusable_frames_and_holes_have_no_exposure(self, tmp_path: Path) -> None:
        metres = np.concatenate([np.arange(10.0), 800 + np.arange(10.0)])
        clip = Clip(
            "a",
            20,
            {("frame", "sky"): 0.3},
            usable=np.arange(20) != 5,
            failed=(15,),
            **along(metres),
        )
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
                write_dataset(root, [Clip("a", 60, shares, step_s=seconds, **place)]).duckdb(),
                "h3:10",
                exposure,
            ).frame
            assert (
                found.set_index("cell").loc[h3.latlng_to_cell(51.5, -0.12, 10), "passes"] == passes
            )
        # What two sources saw at the same time is one pass
        for hours, passes in (
            (24, {2}),
            (0, {1}),
        ):
            both = [(n, START + timedelta(hours=hours * i)) for i, n in enumerate("ab")]
            clips = [
                Clip(n, 60, shares, start=start, **{**place, "odometer_m": np.nan})
                for n, start in both
            ]
            found = aggregate(
                write_dataset(tmp_path / f"two{hours}", clips).duckdb(), "h3:10", exposure
            ).frame
            assert set(found["passes"]) == passes
            assert found["metres"].isna().all()

    def test_photographs_count_alike_without_being_told(self, tmp_path: Path) -> None:
        clip = Clip("a", 5, {("frame", "sky"): 0.3}, step_s=None, latitude=51.5, longitude=-0.12)
        connection = write_dataset(tmp_path, [clip]).duckdb()
        layer = aggregate(connection, "h3:9")
        assert layer.frame["sky_view"].tolist() == [pytest.approx(0.3)]
        assert (layer.exposure.weight, layer.notes) == ("frames", ())
        told = aggregate(connection, "h3:9", Exposure("metres"))
        assert told.frame["sky_view"].isna().all()
        assert "--weight frames" in told.notes[0]

    def test_photographs_among_film_without_a_track_are_named(self, tmp_path: Path) -> None:
        film = Clip("film", 100, {("frame", "sky"): 0.2}, **along(np.arange(100.0)))
        photos = Clip(
            "photos", 7, {("frame", "sky"): 0.6}, step_s=None, latitude=51.5, longitude=-0.12
        )
        connection = write_dataset(tmp_path, [film, photos]).duckdb()
        layer = aggregate(connection, "h3:5")
        assert layer.frame["sky_view"].tolist() == [pytest.approx(0.2)]
        assert layer.notes == (
            "7 photos without a track, so without a weight in metres; --weight frames counts all "
            "frames alike",
        )
        alike = aggregate(connection, "h3:5", Exposure("frames"))
        assert alike.frame["sky_view"].tolist() == [pytest.approx((100 * 0.2 + 7 * 0.6) / 107)]

    @pytest.mark.parametrize(
        "by",
        [*(f"h3:{n}" for n in (0, 9, 12, 13, 14, 15)), *(f"metres:{n}" for n in (0.5, 5, 15, 50))],
    )
    def test_no_default_is_impossible(self, tmp_path: Path, by: str) -> None:
        """A slow drive with many frames: whatever the cells, most have indicators, and a note says
        how many don't."""
        clip = Clip("a", 2000, {("frame", "sky"): 0.3}, **along(np.arange(2000) * 0.05))
        layer = aggregate(write_dataset(tmp_path, [clip]).duckdb(), by)
        empty = int(layer.frame["sky_view"].isna().sum())
        assert empty < 0.5 * len(layer.frame)
        assert [n.partition(" ")[0] for n in layer.notes] == ([str(empty)] if empty else [])

    def test_a_minimum_that_no_cell_reaches_is_told(self, tmp_path: Path) -> None:
        clip = Clip("a", 200, {("frame", "sky"): 0.3}, **along(np.arange(200) * 0.5))
        layer = aggregate(
            write_dataset(tmp_path, [clip]).duckdb(), "metres:5", Exposure(min_metres=10)
        )
        assert layer.notes == (
            "20 of 20 cells below --min-frames 3 or --min-metres 10: indicators are null; choose "
            "larger cells or lower minimums",
        )

    def test_what_the_model_has_no_class_for_is_null(self, tmp_path: Path) -> None:
        """comma10k's classes: a frame without a movable is 0 % vehicles, and nobody knows its
        green."""
        classes = ("road", "lane markings", "undrivable", "movable", "my car")
        shares = {("frame", "road"): 0.4, ("frame", "undrivable"): 0.6}
        connection = write_dataset(
            tmp_path / "a", [Clip("a", 50, shares, **along(np.arange(50.0)))], classes
        ).duckdb()
        layer = aggregate(connection, "metres:1000")
        row = layer.frame.iloc[0]
        assert (row["drivable"], row["vehicles"]) == (pytest.approx(0.4), 0)
        assert row[["green_view", "sky_view", "built", "pavement", "people"]].isna().all()
        assert layer.notes == (
            "the model of this dataset can't measure green_view (no class of vegetation or "
            "terrain); sky_view (no class of sky); "
            "built (no class of building or fence); pavement (no class of sidewalk); people (no "
            "class of person or cyclist): "
            "null, not 0",
        )
        draw(
            layer.frame, "people", tmp_path / "people.png", Caption("People", "below", "share"), []
        )
        later = Clip(
            "b",
            50,
            {("frame", "tree"): 0.3},
            start=START + timedelta(days=1),
            **along(np.arange(50.0)),
        )
        found = diff(connection, write_dataset(tmp_path / "b", [later]).duckdb(), "h3:9")
        green = found.frame.query("indicator == 'green_view'")
        assert green["b"].tolist() == [pytest.approx(0.3)] * len(green)
        assert green[["a", "change", "noise", "significant"]].isna().all(axis=None)
        assert [w[:35] for w in found.warnings if "can't measure" in w] == [
            "the model of A can't measure green_"
        ]
        alike = [w for w in diff(connection, connection, "h3:9").warnings if "can't measure" in w]
        assert [w[:38] for w in alike] == ["the model of A and that of B can't mea"]

    @pytest.mark.parametrize(
        "by",
        [
            "h3:16",
            "h3:-1",
            "h3:9.5",
            "h3",
            "metres:0",
            "metres:-5",
            "metres:nan",
            "metres:inf",
            "squares:5",
            "",
        ],
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
        assert east.bounds == (
            -180.0,
            pytest.approx(-16.8, abs=0.1),
            180.0,
            pytest.approx(-16.8, abs=0.1),
        )
        assert all(
            np.ptp(np.asarray(p.exterior.coords)[:, 0]) < 0.1 and p.exterior.is_ccw
            for p in east.geoms
        )
        assert hexagon(h3.latlng_to_cell(51.5, 0.0, 7)).contains(shapely.Point(0.0, 51.5))

    def test_lines(self) -> None:
        assert line(np.array([[1.0, 2.0], [1.0, 2.0]])).geom_type == "Point"
        assert (
            len(line(np.array([[179.9, 0.0], [179.99, 0], [-179.99, 0], [-179.9, 0]])).geoms) == 2
        )


class TestDiff:
    @staticmethod
    def dataset(root: Path, passes: int, green: float, spread: float, seed: int = 0) -> Dataset:
        """Drives due east over 2 km, each with its own light: the greenery of a pass is the
        street's and some chance."""
        rng, metres = np.random.default_rng(seed), np.arange(0, 2000, 4.0)
        street = np.where(metres < 1000, green, 0.2)
        clips = [
            Clip(
                f"{root.name}{i}",
                500,
                {
                    ("frame", "tree"): np.clip(street + rng.normal(0, spread), 0, 1),
                    ("frame", "sky"): 0.3,
                },
                start=START + timedelta(days=i + 100 * seed),
                **along(metres),
            )
            for i in range(passes)
        ]
        return write_dataset(root, clips)

    def test_what_changed_is_significant_and_what_did_not_is_not(self, tmp_path: Path) -> None:
        before, after = (
            self.dataset(tmp_path / "a", 6, 0.4, 0.02, 1),
            self.dataset(tmp_path / "b", 6, 0.2, 0.02, 2),
        )
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
        before, after = (
            self.dataset(tmp_path / "a", 6, 0.4, 0.02, 1),
            self.dataset(tmp_path / "b", 1, 0.4, 0.02, 2),
        )
        found = diff(before.duckdb(), after.duckdb(), "h3:9")
        assert "passed twice in B" in found.warnings[0]
        green = found.frame[found.frame["indicator"] == "green_view"]
        assert green["noise"].mean() == pytest.approx(0.02 * np.sqrt(1 + 1 / 6), rel=0.5)

    def test_without_repeated_passes_nothing_is_called_significant(self, tmp_path: Path) -> None:
        before, after = (
            self.dataset(tmp_path / "a", 1, 0.4, 0, 1),
            self.dataset(tmp_path / "b", 1, 0.2, 0, 2),
        )
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
            for days, side in ((0, "a"), (9, "b")):
                # Of each piece of street anew.
                light = [np.repeat(rng.normal(0.3, 0.03, 150), 10) for _ in range(3)]
                clips = [
                    Clip(
                        f"{side}{i}",
                        1500,
                        {("frame", "tree"): v},
                        start=START + timedelta(days=days + i),
                        **along(metres),
                    )
                    for i, v in enumerate(light)
                ]
                both.append(write_dataset(tmp_path / f"{side}{seed}", clips).duckdb())
            green = diff(both[0], both[1], "h3:9").frame.query("indicator == 'green_view'")
            calls.append(float(green["significant"].mean()))
        assert np.mean(calls) < 0.08

    def test_two_passes_that_agree_by_chance_are_no_proof(self, tmp_path: Path) -> None:
        rng, metres, both = np.random.default_rng(5), np.arange(0, 10_000, 20.0), []
        cells = [
            h3.latlng_to_cell(y, x, 9)
            for y, x in zip(*list(along(metres).values())[:2], strict=True)
        ]
        quiet = np.array([c == cells[250] for c in cells])
        for days, side, value in ((0, "a", 0.3), (9, "b", 0.305)):
            light = [
                np.where(quiet, value, np.repeat(rng.normal(0.3, 0.03, 50), 10)) for _ in range(2)
            ]
            clips = [
                Clip(
                    f"{side}{i}",
                    500,
                    {("frame", "tree"): v},
                    start=START + timedelta(days=days + i),
                    **along(metres),
                )
                for i, v in enumerate(light)
            ]
            both.append(write_dataset(tmp_path / side, clips).duckdb())
        row = (
            diff(both[0], both[1], "h3:9")
            .frame.query(f"indicator == 'green_view' and cell == '{cells[250]}'")
            .iloc[0]
        )
        assert row["change"] == pytest.approx(0.005)
        assert row["noise"] > 0.005
        assert not row["significant"]

    def test_a_copy_of_the_footage_is_no_second_pass(self, tmp_path: Path) -> None:
        """The same moments at the same places under other names, in another dataset and beside the
        first."""
        metres = np.arange(0, 1000, 4.0)
        shares = [{("frame", "tree"): v} for v in (0.4, 0.2)]
        first, other = (Clip(n, 250, s, **along(metres)) for n, s in zip("ab", shares, strict=True))
        found = diff(
            write_dataset(tmp_path / "a", [first]).duckdb(),
            write_dataset(tmp_path / "b", [other]).duckdb(),
            "h3:9",
        )
        assert found.warnings[0].startswith(
            "A and B show the same footage: 250 moments are in both"
        )
        assert found.frame["noise"].isna().all()
        assert found.frame["significant"].isna().all()
        twice = write_dataset(
            tmp_path / "twice", [first, Clip("copy", 250, shares[0], **along(metres))]
        )
        later = Clip("c", 250, shares[1], start=START + timedelta(days=1), **along(metres))
        found = diff(twice.duckdb(), write_dataset(tmp_path / "c", [later]).duckdb(), "h3:9")
        assert set(found.frame["passes_a"]) == {1}
        assert found.warnings == (
            "no cell was passed twice in either dataset: how much passes differ isn't known, so "
            "noise and "
            "significant are null",
        )

    @pytest.mark.parametrize(("other", "passes"), [("v1-a", 1), ("b", 2)])
    def test_recordings_without_a_clock_are_told_apart_by_their_contents(
        self, other: str, passes: int, tmp_path: Path
    ) -> None:
        """Of one path at different times, or two video streams of one file."""
        way = along(np.arange(0, 1000, 4.0))
        clips = [
            Clip(n, 250, {("frame", "tree"): 0.4}, n[-1], start=None, **way) for n in ("a", other)
        ]
        write_dataset(tmp_path, clips)
        for path in (tmp_path / "sources").iterdir():
            rewrite(path, put("uri", 0, "/card/0001.mp4"))
        connection = open_dataset(tmp_path).duckdb()
        assert set(aggregate(connection, "h3:9").frame["passes"]) == {passes}
        ((metres,),) = connection.sql("SELECT sum(metres) FROM frame_metres").fetchall()
        assert metres == pytest.approx(passes * 996.0)

    def test_other_frames_of_the_same_footage_are_no_second_pass(self, tmp_path: Path) -> None:
        """One run took each whole second of a drive at 14 m/s, the other the half seconds between
        them."""
        seconds = np.arange(0, 100.0)
        both = [
            Clip(
                n,
                100,
                {("frame", "tree"): 0.4},
                step_s=1.0,
                start=START + timedelta(seconds=s),
                **along(14 * (seconds + s)),
            )
            for n, s in (("a", 0.0), ("b", 0.5))
        ]
        found = diff(*(write_dataset(tmp_path / c.source_id, [c]).duckdb() for c in both), "h3:9")
        assert found.warnings[0].startswith(
            "A and B show the same footage: 100 half seconds are in both, at the same places"
        )
        later = Clip(
            "c",
            100,
            {("frame", "tree"): 0.4},
            step_s=1.0,
            start=START + timedelta(seconds=60),
            **along(14 * seconds),
        )
        connections = [
            open_dataset(tmp_path / "a").duckdb(),
            write_dataset(tmp_path / "c", [later]).duckdb(),
        ]
        assert not any("same footage" in w for w in diff(*connections, "h3:9").warnings)

    def test_a_copy_with_another_clock_is_no_second_pass(self, tmp_path: Path) -> None:
        rng, both = np.random.default_rng(0), []
        metres, look = (
            np.arange(0, 1000, 4.0),
            {n: rng.uniform(20, 90, 250) for n in ("sharpness", "brightness", "contrast")},
        )
        for days, name in enumerate("ab"):
            clip = Clip(
                name,
                250,
                {("frame", "sky"): 0.3},
                start=START + timedelta(days=days),
                columns=look,
                **along(metres),
            )
            both.append(write_dataset(tmp_path / name, [clip]).duckdb())
        warning, *_ = diff(both[0], both[1], "h3:9").warnings
        assert warning.startswith(
            "A and B show the same footage: 250 pictures are in both (such as /footage/a.mp4 "
            "in A and"
        )

    def test_only_h3(self, tmp_path: Path) -> None:
        connection = walk(tmp_path).duckdb()
        with pytest.raises(ConfigError, match="share no odometer"):
            diff(connection, connection, "metres:50")

    def test_nothing_in_common(self, tmp_path: Path) -> None:
        a, b = (
            write_dataset(
                tmp_path / n, [Clip(n, 50, {("frame", "sky"): 0.3}, **along(np.arange(50.0), lat))]
            )
            for n, lat in (("a", 51.5), ("b", 40.0))
        )
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
            draw(
                aggregate(connection, by).frame,
                "drivable",
                path,
                Caption("Road", "a street", "share"),
                way_of(connection),
            )
            assert path.read_bytes().startswith(b"\x89PNG")
        with pytest.raises(ConfigError, match="green_view"):
            draw(
                aggregate(connection, "h3:11").frame,
                "colour",
                tmp_path / "x.png",
                Caption("", "", ""),
                [],
            )


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

    def test_aggregate_and_diff(
        self, tmp_path: Path, segpipe: Callable[..., tuple[int, str, str]]
    ) -> None:
        root = walk(tmp_path, (10, 40)).root
        files = [tmp_path / n for n in ("l.parquet", "l.geojson", "l.png", "d.parquet", "d.png")]
        code, out, _ = segpipe(
            "aggregate", root, "--by", "h3:11", "-o", *files[:2], "--picture", files[2]
        )
        assert code == 0
        assert "100 m" in out
        code, out, err = segpipe(
            "diff",
            root,
            root,
            "--by",
            "h3:11",
            "-o",
            files[3],
            "--picture",
            files[4],
            "--indicator",
            "drivable",
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
        assert dataset_arguments.INDICATORS == INDICATORS
