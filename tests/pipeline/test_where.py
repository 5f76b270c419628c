"""Time and place of every row: clocks, tracks, drives, what is updated afterwards, and
GeoParquet."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import geopandas as gpd
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pyproj import Geod

from segpipe import open_dataset
from segpipe.training.sample.drive import START, position
from segpipe.training.sample.world import heading, travelled
from tests.driving import eastwards, write_gpx
from tests.footage import make_video

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "-q")
TEN = datetime(2026, 5, 1, 10, 0, 0, tzinfo=UTC)
GEOD = Geod(ellps="WGS84")


def frames_of(out: Path) -> pd.DataFrame:
    return (
        pd.read_parquet(out / "frames")
        .sort_values(["source_id", "frame_index", "uri"])
        .reset_index(drop=True)
    )


def source_of(out: Path) -> dict[str, Any]:
    rows = pd.read_parquet(out / "sources").to_dict("records")
    assert len(rows) == 1
    return rows[0]


def shifted(path: Path, time: datetime) -> Path:
    os.utime(path, (time.timestamp(), time.timestamp()))
    return path


def test_the_sample_drive_gives_back_its_own_track(drive, tmp_path: Path, segpipe: Call) -> None:  # type: ignore[no-untyped-def]
    code, printed, _ = segpipe("run", drive.video, "-o", tmp_path / "out", *FAKE)
    assert code == 0
    assert "with a position: 20 of 20 frames" in printed
    rows = frames_of(tmp_path / "out")
    assert (
        rows["timestamp"] == [pd.Timestamp(START) + pd.Timedelta(seconds=i / 10) for i in range(20)]
    ).all()
    assert set(rows["timestamp_source"]) == {"container"}
    assert set(rows["position_source"]) == {"gpx:drive.gpx"}
    true = [position(i / 10) for i in range(20)]
    _, _, metres = GEOD.inv(
        rows["longitude"], rows["latitude"], [lon for _, lon in true], [lat for lat, _ in true]
    )
    assert np.max(metres) < 1.0
    headings = [90 + np.degrees(heading(travelled(i / 10))) for i in range(20)]
    assert np.abs(rows["heading_deg"] - headings).max() < 1.0
    assert rows["odometer_m"].iloc[-1] == pytest.approx(travelled(1.9), rel=0.01)
    assert rows["speed_mps"].iloc[5] == pytest.approx(11.0, rel=0.02)


def test_frames_are_geoparquet(drive, tmp_path: Path, segpipe: Call) -> None:  # type: ignore[no-untyped-def]
    segpipe("run", drive.video, "-o", tmp_path / "out", *FAKE)
    file = next((tmp_path / "out" / "frames").glob("*.parquet"))
    layer = gpd.read_parquet(file)
    assert layer.crs.equals("OGC:CRS84")
    assert layer.geometry.x.tolist() == layer["longitude"].tolist()
    assert layer.geometry.y.tolist() == layer["latitude"].tolist()
    assert layer.total_bounds.tolist() == [
        layer.longitude.min(),
        layer.latitude.min(),
        layer.longitude.max(),
        layer.latitude.max(),
    ]
    found = duckdb.sql(f"DESCRIBE SELECT geometry FROM '{file}'").fetchall()
    assert "GEOMETRY" in found[0][1]
    text = duckdb.sql(
        f"SELECT st_astext(geometry) FROM '{file}' ORDER BY pts_s LIMIT 1"
    ).fetchall()[0][0]
    assert text.startswith("POINT (0.12 52.2")
    everything = gpd.GeoDataFrame(open_dataset(tmp_path / "out").arrow("frames").to_pandas())
    assert len(everything) == 20


def test_a_layer_without_positions_is_geoparquet_too(tmp_path: Path, segpipe: Call) -> None:
    make_video(tmp_path / "clip.mp4", frames=5)
    code, printed, _ = segpipe("run", tmp_path / "clip.mp4", "-o", tmp_path / "out", *FAKE)
    assert code == 0
    assert "with a position: 0 of 5 frames" in printed
    layer = gpd.read_parquet(next((tmp_path / "out" / "frames").glob("*.parquet")))
    assert layer.geometry.isna().all()


DAY_FIRST = (
    r"(?P<day>\d\d)(?P<month>\d\d)(?P<year>\d{4})-(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)"
)
CLOCKS = [
    ((), "clip.mp4", "mtime", TEN - timedelta(seconds=2)),  # a file is written to its end
    (("time.mtime_is=start",), "clip.mp4", "mtime", TEN),
    (
        ("time.timezone=UTC",),
        "20260501_083000.mp4",
        "filename",
        datetime(2026, 5, 1, 8, 30, tzinfo=UTC),
    ),
    (
        ("time.timezone=Europe/Berlin",),
        "2026_0501_103000_0001F.mp4",
        "filename",
        datetime(2026, 5, 1, 8, 30, tzinfo=UTC),
    ),
    (
        ("time.timezone=Europe/Berlin",),
        "2026-01-15 10.30.00.mp4",
        "filename",
        datetime(2026, 1, 15, 9, 30, tzinfo=UTC),
    ),
    (
        (),
        "20260501_083000.mp4",
        "mtime",
        TEN - timedelta(seconds=2),
    ),  # local time of nobody knows where: not guessed as UTC
    (
        ("time.start=2026-05-01T07:00:00Z",),
        "20260501_083000.mp4",
        "start",
        datetime(2026, 5, 1, 7, tzinfo=UTC),
    ),
    (
        ("time.start=2026-05-01T07:00:00+02:00",),
        "clip.mp4",
        "start",
        datetime(2026, 5, 1, 5, tzinfo=UTC),
    ),
    (
        ("time.order=[mtime,filename]", "time.timezone=UTC"),
        "20260501_083000.mp4",
        "mtime",
        TEN - timedelta(seconds=2),
    ),
    (
        ("time.timezone=UTC", "time.offset_s=-3600"),
        "20260501_083000.mp4",
        "filename",
        datetime(2026, 5, 1, 7, 30, tzinfo=UTC),
    ),
    (
        (f"time.filename_pattern='{DAY_FIRST}'", "time.timezone=UTC"),
        "01052026-083000.mp4",
        "filename",
        datetime(2026, 5, 1, 8, 30, tzinfo=UTC),
    ),
]


@pytest.mark.parametrize(("sets", "name", "source", "start"), CLOCKS)
def test_clocks(
    sets: tuple[str, ...], name: str, source: str, start: datetime, tmp_path: Path, segpipe: Call
) -> None:
    clip = shifted(make_video(tmp_path / name, frames=40, fps=20), TEN)
    code, printed, errors = segpipe(
        "run", clip, "-o", tmp_path / "out", *FAKE, *(f for s in sets for f in ("--set", s))
    )
    assert code == 0, errors
    rows = frames_of(tmp_path / "out")
    assert set(rows["timestamp_source"]) == {source}
    assert rows["timestamp"].iloc[0] == pd.Timestamp(start)
    assert rows["timestamp"].iloc[30] == pd.Timestamp(start) + pd.Timedelta(seconds=1.5)
    assert (source == "mtime") == ("modification time" in printed)
    clocks = {c["source"]: c for c in source_of(tmp_path / "out")["clocks"]}
    assert "mtime" in clocks  # every clock that was found is kept
    assert ("filename" in clocks) == any(c.isdigit() for c in name.removesuffix(".mp4"))
    if "filename" in clocks and "time.timezone" not in str(sets):
        assert clocks["filename"]["utc"] is None
        assert "time.timezone" in clocks["filename"]["note"]


@pytest.mark.parametrize(
    ("sets", "start"),
    [
        ((), START),
        (("time.creation_time_is=end",), START - timedelta(seconds=2)),
        (("time.creation_time_timezone=America/New_York",), START + timedelta(hours=4)),
        (("time.offset_s=2.5",), START + timedelta(seconds=2.5)),
    ],
)
def test_the_containers_clock(
    sets: tuple[str, ...], start: datetime, drive, tmp_path: Path, segpipe: Call
) -> None:  # type: ignore[no-untyped-def]
    segpipe(
        "run", drive.video, "-o", tmp_path / "out", *FAKE, *(f for s in sets for f in ("--set", s))
    )
    rows = frames_of(tmp_path / "out")
    assert rows["timestamp"].iloc[0] == pd.Timestamp(start)
    assert source_of(tmp_path / "out")["offset_s"] == (2.5 if "offset" in str(sets) else 0)


def test_the_gopro_clip_has_gps_time_and_positions(
    clips: Path, tmp_path: Path, segpipe: Call
) -> None:
    code, _, _ = segpipe(
        "run",
        clips / "max-heromode.mp4",
        "-o",
        tmp_path / "out",
        *FAKE,
        "--set",
        "sampling.per_second=5",
    )
    assert code == 0
    rows = frames_of(tmp_path / "out")
    assert set(rows["timestamp_source"]) == {"gps"}
    assert set(rows["position_source"].dropna()) == {"embedded:gopro"}
    assert rows["latitude"].iloc[0] == pytest.approx(33.12677, abs=1e-5)
    assert rows["longitude"].iloc[0] == pytest.approx(-117.32734, abs=1e-5)
    assert rows["latitude"].notna().mean() > 0.95
    assert abs(rows["timestamp"].iloc[0] - pd.Timestamp("2019-11-18T23:45:15Z")) < pd.Timedelta(
        seconds=2
    )
    source = source_of(tmp_path / "out")
    assert len(source["track"]) == 191
    tracks = (
        open_dataset(tmp_path / "out")
        .duckdb()
        .sql("SELECT count(*), min(latitude) FROM tracks")
        .fetchall()[0]
    )
    assert tracks[0] == 191


def run_with_track(
    tmp_path: Path, segpipe: Call, *more: object, start: datetime = TEN, **gpx: Any
) -> tuple[int, str, str]:
    """Two seconds of footage at ten o'clock, and a track of ten fixes a second apart, named by
    hand."""
    clip = make_video(tmp_path / "clip.mp4", frames=40, fps=20)
    track = write_gpx(tmp_path / "elsewhere.gpx", start, eastwards(10), **gpx)
    flags = ("--track", track, "--start", "2026-05-01T10:00:00Z", *more)
    return segpipe("run", clip, "-o", tmp_path / "out", *FAKE, *flags)


def test_a_named_track_and_start(tmp_path: Path, segpipe: Call) -> None:
    code, printed, _ = run_with_track(tmp_path, segpipe)
    assert code == 0
    assert "with a position: 40 of 40 frames" in printed
    assert "note" not in printed
    rows = frames_of(tmp_path / "out")
    assert rows["odometer_m"].iloc[20] == pytest.approx(10.0, abs=0.1)
    assert rows["heading_deg"].iloc[20] == pytest.approx(90.0, abs=0.1)


def test_a_track_of_another_time_gives_no_position_and_says_so(
    tmp_path: Path, segpipe: Call
) -> None:
    code, printed, _ = run_with_track(tmp_path, segpipe, start=TEN + timedelta(hours=2))
    assert code == 0
    assert "with a position: 0 of 40 frames" in printed
    assert (
        "elsewhere.gpx isn't used: it has 2026-05-01T12:00:00Z to 2026-05-01T12:00:09Z, the "
        "footage 2026-05-01T10:00:00Z" in printed
    )
    assert frames_of(tmp_path / "out")["geometry"].isna().all()


def test_a_track_is_not_joined_on_the_word_of_a_modification_time(
    tmp_path: Path, segpipe: Call
) -> None:
    clip = shifted(make_video(tmp_path / "clip.mp4", frames=40, fps=20), TEN + timedelta(seconds=2))
    write_gpx(tmp_path / "clip.gpx", TEN, eastwards(10))
    _, printed, _ = segpipe("run", clip, "-o", tmp_path / "out", *FAKE)
    assert "with a position: 0 of 40 frames" in printed
    assert "the footage no known time" in printed


def test_a_track_without_times_is_refused_when_named_and_noted_when_found(
    tmp_path: Path, segpipe: Call
) -> None:
    code, _, errors = run_with_track(tmp_path, segpipe, times=False)
    assert code == 3
    assert "elsewhere.gpx" in errors
    assert "time" in errors
    assert not (tmp_path / "out" / "frames").exists() or not list(
        (tmp_path / "out" / "frames").iterdir()
    )
    write_gpx(tmp_path / "clip.gpx", TEN, eastwards(10), times=False)
    code, printed, _ = segpipe(
        "run",
        tmp_path / "clip.mp4",
        "-o",
        tmp_path / "out2",
        *FAKE,
        "--start",
        "2026-05-01T10:00:00Z",
    )
    assert code == 0
    assert "clip.gpx isn't used" in printed


def test_two_tracks_that_disagree_are_both_refused(
    clips: Path, tmp_path: Path, segpipe: Call
) -> None:
    clip = tmp_path / "hero.mp4"
    shutil.copy(clips / "max-heromode.mp4", clip)
    write_gpx(tmp_path / "hero.gpx", datetime(2019, 11, 18, 23, 45, 10, tzinfo=UTC), eastwards(30))
    _, printed, _ = segpipe(
        "run", clip, "-o", tmp_path / "out", *FAKE, "--set", "sampling.per_second=2"
    )
    assert "with a position: 0 of" in printed
    assert "km apart, so neither is used" in printed
    segpipe(
        "run",
        clip,
        "-o",
        tmp_path / "out",
        *FAKE,
        "--set",
        "sampling.per_second=2",
        "--set",
        "track.order=[embedded]",
    )
    assert set(frames_of(tmp_path / "out")["position_source"].dropna()) == {"embedded:gopro"}


def test_no_position_in_a_gap_of_the_track(tmp_path: Path, segpipe: Call) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=40, fps=2)  # 20 s
    write_gpx(tmp_path / "clip.gpx", TEN, eastwards(3), step_s=8.0)  # fixes at 0, 8 and 16 s
    flags = ("--start", "2026-05-01T10:00:00Z", "--set", "track.max_gap_s=5")
    segpipe("run", clip, "-o", tmp_path / "out", *FAKE, *flags)
    rows = frames_of(tmp_path / "out")
    assert rows[rows["latitude"].notna()]["pts_s"].tolist() == [0.0, 8.0, 16.0]


def test_what_was_wrong_is_put_right_without_segmenting_again(
    tmp_path: Path, segpipe: Call
) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=40, fps=20)
    out = tmp_path / "out"
    run = ("run", clip, "-o", out, *FAKE, "--set", "store.frames_per_shard=15")
    segpipe(*run, "--start", "2026-05-01T09:00:00Z")
    masks = {f.name: f.stat().st_mtime_ns for f in (out / "masks").iterdir()}
    write_gpx(tmp_path / "clip.gpx", TEN, eastwards(10))
    code, printed, _ = segpipe(*run, "--start", "2026-05-01T10:00:00Z")
    assert code == 0
    assert "no inference was run" in printed
    assert {f.name: f.stat().st_mtime_ns for f in (out / "masks").iterdir()} == masks
    segpipe(
        "run",
        clip,
        "-o",
        tmp_path / "fresh",
        *FAKE,
        "--set",
        "store.frames_per_shard=15",
        "--start",
        "2026-05-01T10:00:00Z",
    )
    pd.testing.assert_frame_equal(frames_of(out), frames_of(tmp_path / "fresh"))
    assert gpd.read_parquet(next((out / "frames").glob("*.parquet"))).geometry.notna().all()
    assert len(open_dataset(out).records()) == len(masks)


def test_a_frame_every_few_metres(tmp_path: Path, segpipe: Call) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=160, fps=20, gop=20)  # 8 s at 10 m/s
    write_gpx(tmp_path / "clip.gpx", TEN, eastwards(12))
    flags = (
        "--start",
        "2026-05-01T10:00:00Z",
        "--set",
        "sampling.every_m=5",
        "--set",
        "store.frames_per_shard=4",
    )
    code, printed, _ = segpipe("run", clip, "-o", tmp_path / "out", *FAKE, *flags)
    assert code == 0, printed
    rows = frames_of(tmp_path / "out")
    assert np.diff(rows["odometer_m"]) == pytest.approx(np.full(len(rows) - 1, 5.0), abs=0.6)
    assert len(rows) == 16
    code, printed, _ = segpipe("run", clip, "-o", tmp_path / "out", *FAKE, *flags)
    assert "nothing new" in printed
    code, _, _ = segpipe("overlay", tmp_path / "out", "-o", tmp_path / "overlay.mp4")
    assert code == 0


def test_every_m_without_a_track_is_a_failed_row(tmp_path: Path, segpipe: Call) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=5)
    code, _, _ = segpipe("run", clip, "-o", tmp_path / "out", *FAKE, "--set", "sampling.every_m=5")
    assert code == 1
    assert "needs positions" in frames_of(tmp_path / "out")["error"][0]


def photo(
    path: Path,
    taken: str | None,
    place: tuple[float, float] | None = None,
    offset: str | None = None,
) -> Path:
    image, exif = Image.new("RGB", (64, 48), (90, 120, 60)), Image.Exif()
    details = exif.get_ifd(0x8769)
    if taken:
        details[0x9003] = taken
    if offset:
        details[0x9011] = offset
    if place:
        gps = exif.get_ifd(0x8825)
        for tag, ref, value, names in ((2, 1, place[0], "NS"), (4, 3, place[1], "EW")):
            gps[ref] = names[int(value < 0)]
            gps[tag] = (abs(value), 0.0, 0.0)
    image.save(path, exif=exif)
    return path


def test_photographs_have_times_and_positions_of_their_own(tmp_path: Path, segpipe: Call) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, (lat, lon) in enumerate(eastwards(4)):
        photo(folder / f"{i}.jpg", f"2026:05:01 12:00:0{i}", (lat, lon), offset="+02:00")
    photo(folder / "local.jpg", "2026:05:01 12:00:02")
    shifted(photo(folder / "bare.jpg", None), TEN)
    code, printed, _ = segpipe("run", folder, "-o", tmp_path / "out", *FAKE)
    assert code == 0
    rows = (
        frames_of(tmp_path / "out")
        .assign(name=lambda f: f["uri"].str.rpartition("/")[2])
        .set_index("name")
    )
    assert rows.loc["1.jpg", "timestamp"] == pd.Timestamp(TEN + timedelta(seconds=1))
    assert rows.loc["1.jpg", "timestamp_source"] == "exif"
    assert rows.loc["1.jpg", "latitude"] == pytest.approx(52.0)
    assert rows.loc["1.jpg", "position_source"] == "exif"
    assert rows.loc["2.jpg", "odometer_m"] == pytest.approx(20.0, abs=0.1)
    assert rows.loc["2.jpg", "heading_deg"] == pytest.approx(90.0, abs=0.1)
    # Local time without a zone isn't used
    assert rows.loc["local.jpg", "timestamp_source"] == "mtime"
    assert np.isnan(rows.loc["local.jpg", "latitude"])
    assert rows.loc["bare.jpg", "timestamp"] == pd.Timestamp(TEN)
    assert "2 of 6 images: the time is the file's modification time" in printed
    segpipe("run", folder, "-o", tmp_path / "out", *FAKE, "--timezone", "Europe/Berlin")
    again = (
        frames_of(tmp_path / "out")
        .assign(name=lambda f: f["uri"].str.rpartition("/")[2])
        .set_index("name")
    )
    assert again.loc["local.jpg", "timestamp"] == pd.Timestamp(TEN + timedelta(seconds=2))
    # It lies between the others now
    assert again.loc["local.jpg", "latitude"] == pytest.approx(52.0)


def test_clips_of_one_drive_and_the_gaps_between_them(tmp_path: Path, segpipe: Call) -> None:
    starts = {
        "20260501_100000_0001.mp4": 0,
        "20260501_100002_0002.mp4": 0,
        "20260501_100012_0003.mp4": 0,
        "20260501_103000_0004.mp4": 0,
    }
    for name in [*starts, "other.mp4"]:
        make_video(tmp_path / name, frames=40, fps=20)
    code, printed, _ = segpipe("run", tmp_path, "-o", tmp_path / "out", *FAKE, "--timezone", "UTC")
    assert code == 0
    assert "3 clips; gap of 8.0 s before 20260501_100012_0003.mp4" in printed
    rows = pd.read_parquet(tmp_path / "out" / "sources")
    rows = rows.assign(name=rows["uri"].str.rpartition("/")[2]).set_index("name")
    first = rows.loc["20260501_100000_0001.mp4"]
    assert [rows.loc[n, "drive_id"] == first["source_id"] for n in sorted(rows.index)] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert rows.loc["20260501_100012_0003.mp4", "drive_index"] == 2
    assert rows.loc["20260501_100012_0003.mp4", "gap_before_s"] == pytest.approx(8.0)
    assert rows.loc["20260501_100002_0002.mp4", "gap_before_s"] == pytest.approx(0.0)
    code, printed, _ = segpipe("info", tmp_path / "out")
    assert "drive: clip 3 of" in printed
    assert "gap of 8.0 s" in printed


def test_clips_that_overlap_say_so(tmp_path: Path, segpipe: Call) -> None:
    for name in ("20260501_100000_0001.mp4", "20260501_100001_0002.mp4"):
        make_video(tmp_path / name, frames=40, fps=20)
    _, printed, _ = segpipe("run", tmp_path, "-o", tmp_path / "out", *FAKE, "--timezone", "UTC")
    assert "2 clips; overlap of 1.0 s before 20260501_100001_0002.mp4" in printed
    assert sorted(
        pd.read_parquet(tmp_path / "out" / "sources")["gap_before_s"].fillna(0)
    ) == pytest.approx([-1.0, 0.0])


def test_a_clip_that_comes_later_joins_its_drive(tmp_path: Path, segpipe: Call) -> None:
    for number in (1, 2):
        make_video(tmp_path / f"clip_{number:04d}.mp4", frames=4)
        segpipe("run", tmp_path / f"clip_{number:04d}.mp4", "-o", tmp_path / "out", *FAKE)
    rows = pd.read_parquet(tmp_path / "out" / "sources").sort_values("uri")
    assert rows["drive_id"].nunique() == 1
    assert rows["drive_index"].tolist() == [0, 1]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--start", "2026-05-01T10:00:00"), "no time zone"),
        (("--timezone", "Mars/Olympus"), "IANA"),
        (("--start", "yesterday"), "time.start"),
        (("--track", "nowhere.gpx"), "nowhere.gpx"),
        (("--track", "notes.docx"), "no known kind of track"),
        (("--set", "time.filename_pattern='(?P<year>x'"), "regular expression"),
        (("--set", "time.filename_pattern='(?P<year>x)'"), "has no group day"),
        (("--set", "time.order=[sundial]"), "time.order"),
        (
            ("--set", "regions.polygons={x: [[[0, 0], [1.2, 0], [1, 1]]]}"),
            r"lies outside the frame",
        ),
        (("--set", "regions.polygons={x: [[[0, 0], [1, 1]]]}"), "three corners"),
        (
            ("--set", "regions.polygons={frame: [[[0, 0], [1, 0], [1, 1]]]}"),
            "can't be a region's name",
        ),
        (("--set", "ignore_regions=[[[0, 0], [1, 0], [-0.1, 1]]]"), r"lies outside the frame"),
        (("--set", "regions.builtin=[sky]"), "regions.builtin"),
        (("--set", "ego_mask=always"), "ego_mask"),
        (("--set", "quality.min_contrast=900"), "quality.min_contrast"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_written(
    flags: tuple[str, ...],
    message: str,
    tmp_path: Path,
    segpipe: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    make_video(tmp_path / "clip.mp4", frames=4)
    Path("notes.docx").write_text("no track")
    code, _, errors = segpipe("run", "clip.mp4", "-o", "out", *FAKE, *flags)
    assert code in {2, 3}
    assert message in errors
    assert not list(Path("out").glob("*/*.parquet"))


def test_a_start_is_for_one_video(tmp_path: Path, segpipe: Call) -> None:
    for name in ("a.mp4", "b.mp4"):
        make_video(tmp_path / name, frames=4)
    code, _, errors = segpipe(
        "run", tmp_path, "-o", tmp_path / "out", *FAKE, "--start", "2026-05-01T10:00:00Z"
    )
    assert code == 2
    assert "2 videos" in errors
