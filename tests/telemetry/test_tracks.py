"""Track files: reading, cleaning, interpolating. Expected numbers are from hand, from pyproj, or
the sample drive's truth."""

from __future__ import annotations

import datetime as dt
import math
import time
from pathlib import Path

import gpxpy.gpx
import numpy as np
import pynmea2
import pytest
from pyproj import Geod

from segpipe.core.config.time_and_place import TrackSettings
from segpipe.core.errors import ConfigError, SourceError
from segpipe.telemetry.clean import clean
from segpipe.telemetry.gpx import read_gpx
from segpipe.telemetry.interpolate import odometer, positions
from segpipe.telemetry.nmea import read_nmea
from segpipe.telemetry.read import read_track, sidecars
from segpipe.telemetry.table import read_csv
from segpipe.telemetry.track import NO_TIME, Track
from segpipe.training.sample.drive import START, DriveSettings, _gpx, position
from segpipe.training.sample.world import heading as road_heading
from segpipe.training.sample.world import travelled

GEOD = Geod(ellps="WGS84")
T0 = dt.datetime(2026, 5, 1, 10, 0, 0, tzinfo=dt.UTC)
T0_US = 1_777_629_600_000_000
GARBAGE = np.random.default_rng(0).integers(0, 256, 20_000, dtype=np.uint8).tobytes()


def _track(
    latitude: list[float],
    longitude: list[float],
    seconds: list[float] | None = None,
    **more: object,
) -> Track:
    times = range(len(latitude)) if seconds is None else seconds
    return Track.of(
        "test", latitude, longitude, time_us=[T0_US + round(s * 1e6) for s in times], **more
    )  # type: ignore[arg-type]


def _northward(count: int, metres_a_second: float = 10.0) -> Track:
    degrees = metres_a_second / 111_229.0  # at 52 degrees north
    return _track([52.0 + i * degrees for i in range(count)], [0.1] * count)


def _write_gpx(path: Path, fixes: list[tuple[float, float, dt.datetime | None]]) -> Path:
    gpx = gpxpy.gpx.GPX()
    segment = gpxpy.gpx.GPXTrackSegment()
    gpx.tracks.append(gpxpy.gpx.GPXTrack())
    gpx.tracks[0].segments.append(segment)
    for lat, lon, moment in fixes:
        segment.points.append(gpxpy.gpx.GPXTrackPoint(lat, lon, elevation=30.0, time=moment))
    path.write_text(gpx.to_xml(), encoding="utf-8")
    return path


def _seconds(count: int) -> list[dt.datetime]:
    return [T0 + dt.timedelta(seconds=i) for i in range(count)]


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def _metres(lat1: float, lon1: float, lat2: float, lon2: float) -> float:
    return float(GEOD.inv(lon1, lat1, lon2, lat2)[2])


# --- the sample drive: within 1 m and 1 degree of the truth ---


def test_the_sample_drives_track_gives_back_the_true_positions_and_headings(tmp_path: Path) -> None:
    path = _write(tmp_path / "drive.gpx", _gpx(DriveSettings()))
    track = read_track(path, TrackSettings(), None)
    start_us = round(START.timestamp() * 1e6)
    times_s = np.arange(300) / 15
    found = positions(
        track, max_gap_s=10.0, times_us=start_us + np.round(times_s * 1e6).astype(np.int64)
    )
    assert len(found) == 300
    off, turned, moving = [], [], 0
    for i, t in enumerate(times_s):
        here = found.position_at(i)
        assert here is not None
        off.append(_metres(here.latitude, here.longitude, *position(float(t))))
        speed = (travelled(t + 0.01) - travelled(t - 0.01)) / 0.02
        if speed > 2.0:
            moving += 1
            assert here.heading_deg is not None
            # The street leads east; the road's own heading turns to the right, as a compass does.
            true_heading = 90.0 + math.degrees(road_heading(travelled(float(t))))
            turned.append(abs(here.heading_deg - true_heading))
            assert here.speed_mps == pytest.approx(speed, abs=2.5)
    assert max(off) < 1.0
    assert moving > 200
    assert max(turned) < 1.0


def test_the_odometer_of_the_sample_drive_is_the_way_that_was_driven(tmp_path: Path) -> None:
    track = read_track(_write(tmp_path / "drive.gpx", _gpx(DriveSettings())), TrackSettings(), None)
    # The road bends: its length is a little more than the way along the s axis.
    s = np.linspace(0.0, travelled(20.0), 10_000)
    length = float(np.sum(np.hypot(np.diff(s), np.diff(6.0 * np.sin(s / 55.0)))))
    # 111 320 m a degree, in the sample, is a little off
    assert odometer(track, 10.0)[20] == pytest.approx(length, rel=0.005)


def test_a_camera_that_stands_has_no_derived_heading(tmp_path: Path) -> None:
    track = read_track(_write(tmp_path / "drive.gpx", _gpx(DriveSettings())), TrackSettings(), None)
    assert np.isnan(track.heading_deg[[11, 12]]).all()
    assert track.speed_mps[[11, 12]] == pytest.approx(0.0, abs=0.2)


# --- GPX ---


def test_gpx_times_are_utc_whatever_zone_they_are_written_in(tmp_path: Path) -> None:
    zone = dt.timezone(dt.timedelta(hours=2))
    path = _write_gpx(
        tmp_path / "a.gpx",
        [(52.0, 0.1, T0), (52.1, 0.1, (T0 + dt.timedelta(seconds=1.5)).astimezone(zone))],
    )
    naive = _write(
        tmp_path / "b.gpx", path.read_text().replace("2026-05-01T10:00:00Z", "2026-05-01T10:00:00")
    )
    assert read_gpx(path).time_us.tolist() == [T0_US, T0_US + 1_500_000]
    assert read_gpx(naive).time_us[0] == T0_US
    assert read_gpx(path).source == "gpx:a.gpx"
    assert read_gpx(path).altitude_m.tolist() == [30.0, 30.0]


def test_gpx_points_without_a_time_are_dropped_and_counted(tmp_path: Path) -> None:
    track = read_gpx(
        _write_gpx(tmp_path / "a.gpx", [(52.0, 0.1, T0), (52.1, 0.1, None), (52.2, 0.1, None)])
    )
    assert len(track) == 1
    assert track.dropped == {"without a time": 2}


def test_gpx_without_any_time_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"none of the 2 points has a time.*record the track with times"
    ):
        read_gpx(_write_gpx(tmp_path / "a.gpx", [(52.0, 0.1, None), (52.1, 0.1, None)]))


def test_gpx_route_points_are_read_and_waypoints_are_not(tmp_path: Path) -> None:
    gpx = gpxpy.gpx.GPX()
    gpx.waypoints.append(gpxpy.gpx.GPXWaypoint(1.0, 1.0, time=T0))
    gpx.routes.append(gpxpy.gpx.GPXRoute())
    gpx.routes[0].points.append(gpxpy.gpx.GPXRoutePoint(52.0, 0.1, time=T0))
    assert read_gpx(_write(tmp_path / "a.gpx", gpx.to_xml())).latitude.tolist() == [52.0]


def test_gpx_speed_and_course_are_read_from_version_1_0_and_from_garmins_extension(
    tmp_path: Path,
) -> None:
    old = _write(
        tmp_path / "old.gpx",
        '<gpx version="1.0" creator="t" xmlns="http://www.topografix.com/GPX/1/0"><trk><trkseg>'
        '<trkpt lat="52" lon="0.1"><time>2026-05-01T10:00:00Z</time>'
        "<course>271.5</course><speed>12.5</speed><hdop>1.2</hdop></trkpt>"
        "</trkseg></trk></gpx>",
    )
    new = _write(
        tmp_path / "new.gpx",
        '<gpx version="1.1" creator="t" xmlns="http://www.topografix.com/GPX/1/1"'
        ' xmlns:gpxtpx="http://www.garmin.com/xmlschemas/TrackPointExtension/v2"><trk><trkseg>'
        '<trkpt lat="52" '
        'lon="0.1"><time>2026-05-01T10:00:00Z</time><extensions><gpxtpx:TrackPointExtension>'
        "<gpxtpx:speed>12.5</gpxtpx:speed><gpxtpx:course>271.5</gpxtpx:course></gpxtpx:TrackPointExtension></extensions></trkpt>"
        "</trkseg></trk></gpx>",
    )
    for path in (old, new):
        assert read_gpx(path).speed_mps.tolist() == [12.5]
        assert read_gpx(path).heading_deg.tolist() == [271.5]
    assert read_gpx(old).accuracy_m.tolist() == [6.0]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"   \n",
        GARBAGE,
        b"<html><body>no</body></html>",
        b"<gpx><trk><trkseg>",
        b"lat,lon\n1,2\n",
    ],
)
def test_what_is_no_gpx_is_a_source_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.gpx").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.gpx"):
        read_gpx(tmp_path / "a.gpx")


# --- NMEA ---


def _rmc(
    clock: str,
    lat: str,
    lon: str,
    knots: str = "10.0",
    course: str = "84.4",
    date: str = "010526",
    status: str = "A",
) -> str:
    return str(
        pynmea2.RMC("GP", "RMC", (clock, status, lat, "N", lon, "W", knots, course, date, "", ""))
    )


def _gga(
    clock: str, lat: str, lon: str, quality: str = "1", hdop: str = "1.5", altitude: str = "61.7"
) -> str:
    return str(
        pynmea2.GGA(
            "GP",
            "GGA",
            (clock, lat, "N", lon, "W", quality, "08", hdop, altitude, "M", "47.0", "M", "", ""),
        )
    )


def test_nmea_joins_rmc_and_gga_of_one_time(tmp_path: Path) -> None:
    lines = [
        _gga("100000.50", "5212.0000", "00007.2000"),
        _rmc("100000.50", "5212.0000", "00007.2000"),
        "$GPGSV,1,1,00*79",
        _rmc("100001.50", "5212.0060", "00007.2000"),
    ]
    track = read_nmea(_write(tmp_path / "a.nmea", "\r\n".join(lines)))
    assert track.time_us.tolist() == [T0_US + 500_000, T0_US + 1_500_000]
    assert track.latitude == pytest.approx([52.2, 52.2001])
    assert track.longitude == pytest.approx([-0.12, -0.12])
    assert track.speed_mps == pytest.approx([5.14444, 5.14444], abs=1e-5)  # 10 knots
    assert track.heading_deg.tolist() == [84.4, 84.4]
    assert track.altitude_m[0] == 61.7
    assert track.accuracy_m[0] == pytest.approx(7.5)
    assert np.isnan(track.altitude_m[1])
    assert track.dropped == {}


def test_nmea_lines_with_a_dashcams_clock_before_the_dollar_are_read(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "a.nmea", "[1777629600123]" + _rmc("100000", "5212.0000", "00007.2000") + "\n"
    )
    assert read_nmea(path).latitude == pytest.approx([52.2])


def test_nmea_bad_lines_are_dropped_and_counted(tmp_path: Path) -> None:
    good = [_rmc(f"10000{i}", f"5212.00{i}0", "00007.2000") for i in range(4)]
    broken = good[1].replace("5212", "5292")
    void = _rmc("100002", "5212.0020", "00007.2000", status="V")
    no_lock = _gga("100004", "5212.0020", "00007.2000", quality="0")
    empty = _rmc("100005", "", "")
    lines = [good[0], broken, void, good[3], no_lock, empty, "hello", "", "$nonsense"]
    track = read_nmea(_write(tmp_path / "a.nmea", "\n".join(lines)))
    assert track.time_us.tolist() == [T0_US, T0_US + 3_000_000]
    assert track.dropped == {
        "wrong checksum": 1,
        "without a fix": 2,
        "without a position": 1,
        "no NMEA": 2,
    }


def test_nmea_goes_over_midnight_with_rmc_and_with_gga_alone(tmp_path: Path) -> None:
    lines = [
        _gga("235958", "5212.0000", "00007.2000"),
        _rmc("235959", "5212.0000", "00007.2000", date="300426"),
        _gga("000000", "5212.0000", "00007.2000"),
        _rmc("000001", "5212.0000", "00007.2000", date="010526"),
    ]
    midnight = T0_US - 36_000_000_000
    track = read_nmea(_write(tmp_path / "a.nmea", "\n".join(lines)))
    assert track.time_us.tolist() == [midnight + s * 1_000_000 for s in (-2, -1, 0, 1)]
    backwards = [
        _gga("235959", "5212.0000", "00007.2000"),
        _rmc("000001", "5212.0000", "00007.2000", date="010526"),
    ]
    assert read_nmea(_write(tmp_path / "b.nmea", "\n".join(backwards))).time_us.tolist() == [
        midnight - 1_000_000,
        midnight + 1_000_000,
    ]


def test_nmea_without_a_date_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"RMC or ZDA with the date.*convert"):
        read_nmea(_write(tmp_path / "a.nmea", _gga("100000", "5212.0000", "00007.2000")))


@pytest.mark.parametrize("content", [b"", GARBAGE, b"$GPRMC,broken*00\n"])
def test_what_is_no_nmea_is_a_source_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.nmea").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.nmea"):
        read_nmea(tmp_path / "a.nmea")


# --- CSV ---


@pytest.mark.parametrize(
    "moment",
    [
        "2026-05-01T10:00:00Z",
        "2026-05-01 12:00:00+02:00",
        "2026/05/01 10:00:00Z",
        "1777629600",
        "1777629600.0",
        "1777629600000",
    ],
)
def test_csv_times_are_iso_or_seconds_or_milliseconds(tmp_path: Path, moment: str) -> None:
    track = read_csv(_write(tmp_path / "a.csv", f"Time,LAT,Lon\n{moment},52.2,-0.12\n"), {}, None)
    assert track.time_us.tolist() == [T0_US]
    assert (track.latitude[0], track.longitude[0]) == (52.2, -0.12)


def test_csv_times_without_a_zone_need_the_setting(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "time,lat,lon\n2026-05-01 12:00:00,52.2,0.1\n")
    with pytest.raises(ConfigError, match=r"track CSV has times without zone.*give time\.timezone"):
        read_csv(path, {}, None)
    assert read_csv(path, {}, "Europe/Berlin").time_us.tolist() == [T0_US]


def test_csv_takes_the_first_of_two_readings_when_the_clock_is_put_back(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "time,lat,lon\n2026-10-25 02:30:00,52.2,0.1\n")
    assert read_csv(path, {}, "Europe/Berlin").time_us[0] == round(
        dt.datetime(2026, 10, 25, 0, 30, tzinfo=dt.UTC).timestamp() * 1e6
    )


def test_csv_columns_have_well_known_names_in_any_case_and_other_delimiters(tmp_path: Path) -> None:
    text = "﻿Timestamp;Latitude;LNG;ELE;speed_kmh;Bearing;hAcc\n1777629600;52.2;0.1;12;36;90;4\n"
    track = read_csv(_write(tmp_path / "a.csv", text), {}, None)
    found = [track.altitude_m, track.speed_mps, track.heading_deg, track.accuracy_m]
    assert [float(v[0]) for v in found] == [12.0, 10.0, 90.0, 4.0]


def test_csv_columns_can_be_named_and_wrong_ones_are_told(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.csv", "when,breite,laenge\n1777629600,52.2,0.1\n")
    named = {"time": "when", "latitude": "Breite", "longitude": "laenge"}
    assert len(read_csv(path, named, None)) == 1
    with pytest.raises(
        ConfigError, match="no column 'hoehe' for altitude_m; its columns are when, breite, laenge"
    ):
        read_csv(path, {**named, "altitude_m": "hoehe"}, None)
    with pytest.raises(ConfigError, match=r"'height'; there are time, latitude"):
        read_csv(path, {**named, "height": "breite"}, None)
    with pytest.raises(
        ConfigError, match=r"no column for time, latitude, longitude; its columns are when, breite"
    ):
        read_csv(path, {}, None)


def test_csv_rows_that_cannot_be_parsed_are_dropped_and_counted(tmp_path: Path) -> None:
    lines = ["time,lat,lon,speed", "1777629600,52.2,0.1,3", "soon,52.2,0.1,3"]
    lines += ["1777629601,north,0.1,3", "1777629602", "1777629603,52.2,0.1,fast", ""]
    text = "\n".join(lines)
    track = read_csv(_write(tmp_path / "a.csv", text), {}, None)
    assert track.time_us.tolist() == [T0_US, T0_US + 3_000_000]
    assert track.dropped == {"unreadable": 3}
    assert np.isnan(track.speed_mps[1])


@pytest.mark.parametrize(
    "content", [b"", b"\n\n", GARBAGE, b"time,lat,lon\n", b"time,lat,lon\na,b,c\n"]
)
def test_what_is_no_csv_track_is_a_source_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(SourceError, match=r"a\.csv"):
        read_csv(tmp_path / "a.csv", {}, None)


# --- cleaning ---


def test_a_reversed_track_is_sorted_and_counted() -> None:
    forward = _northward(10)
    track = clean(forward.take(np.arange(10)[::-1]), 90.0)
    assert track.time_us.tolist() == forward.time_us.tolist()
    assert track.latitude.tolist() == forward.latitude.tolist()
    assert track.dropped == {"out of order": 9}


def test_duplicated_fixes_are_dropped_and_the_first_stays() -> None:
    track = clean(_track([52.0, 52.0001, 52.5, 52.0002], [0.1] * 4, [0, 1, 1, 2]), 90.0)
    assert track.latitude.tolist() == [52.0, 52.0001, 52.0002]
    assert track.dropped == {"duplicates": 1}


def test_impossible_coordinates_are_dropped() -> None:
    track = clean(
        _track(
            [52.0, 0.0, 91.0, 52.0, math.nan, 0.0],
            [0.1, 0.0, 0.1, 181.0, 0.1, 0.1],
            [0, 1, 2, 3, 4, 1e6],
        ),
        90.0,
    )
    assert track.latitude.tolist() == [52.0, 0.0]  # 0 N 0.1 E is a place
    assert track.dropped == {"impossible coordinates": 4}


@pytest.mark.parametrize("wild", [[0], [4], [9], [0, 1], [3, 4, 5], [2, 6], [0, 4, 9]])
def test_wild_fixes_are_dropped_and_not_their_neighbours(wild: list[int]) -> None:
    right = _northward(10)
    latitude = right.latitude.copy()
    latitude[wild] += 1.0
    track = clean(_track(latitude.tolist(), right.longitude.tolist()), 90.0)
    assert track.time_us.tolist() == [
        t for i, t in enumerate(right.time_us.tolist()) if i not in wild
    ]
    assert track.dropped == {"impossible speed": len(wild)}


def test_a_wild_run_longer_than_the_look_back_does_not_cost_what_comes_after() -> None:
    right = _northward(400)
    latitude = right.latitude.copy()
    latitude[150:250] += 1.0
    track = clean(_track(latitude.tolist(), right.longitude.tolist()), 90.0)
    assert len(track) == 300
    assert track.latitude.max() < 53.0


def test_a_track_without_impossible_speeds_keeps_every_fix() -> None:
    track = clean(_northward(100, 89.0), 90.0)
    assert len(track) == 100
    assert track.dropped == {}


def test_a_hundred_thousand_fixes_are_cleaned_in_seconds() -> None:
    right = _northward(100_000, 1.0)
    latitude = right.latitude % 60.0
    latitude[::100] += 2.0
    begin = time.process_time()
    track = clean(_track(latitude.tolist(), right.longitude.tolist()), 90.0)
    assert time.process_time() - begin < 10.0
    assert track.dropped == {"impossible speed": 1000}


def test_the_offset_moves_the_utc_times_and_nothing_else() -> None:
    track = clean(_northward(3), 90.0, offset_s=-3600.25)
    assert track.time_us.tolist() == [T0_US + i * 1_000_000 - 3_600_250_000 for i in range(3)]
    without = Track.of("test", [52.0, 52.0001], [0.1, 0.1], media_s=[0.0, 1.0])
    assert clean(without, 90.0, offset_s=5.0).time_us.tolist() == [NO_TIME, NO_TIME]


def test_media_times_decide_where_all_fixes_have_them() -> None:
    track = Track.of(
        "test", [52.0001, 52.0], [0.1, 0.1], media_s=[1.0, 0.0], time_us=[T0_US, T0_US + 9]
    )
    assert clean(track, 90.0).latitude.tolist() == [52.0, 52.0001]


def test_speed_and_heading_are_derived_by_central_differences() -> None:
    # Due east at 45 N in steps of 10, 20 and 30 m.
    longitude, _, _ = GEOD.fwd([10.0] * 4, [45.0] * 4, [90.0] * 4, [0.0, 10.0, 30.0, 60.0])
    track = clean(_track([45.0] * 4, list(longitude)), 90.0)
    assert track.speed_mps == pytest.approx([10.0, 15.0, 25.0, 30.0], abs=1e-3)
    assert track.heading_deg == pytest.approx([90.0] * 4, abs=0.01)


def test_known_speed_and_heading_stay_and_negative_ones_mean_unknown() -> None:
    track = _track(
        [52.0, 52.0001, 52.0002],
        [0.1] * 3,
        speed_mps=[3.0, -1.0, math.nan],
        heading_deg=[10.0, -1.0, 360.0],
    )
    cleaned = clean(track, 90.0)
    assert cleaned.speed_mps == pytest.approx([3.0, 11.125, 11.125], abs=0.01)
    assert cleaned.heading_deg == pytest.approx([10.0, 0.0, 0.0])


def test_fixes_at_a_high_rate_have_a_steady_heading() -> None:
    # 18 fixes a second at 1 m/s, rounded to 7 digits as cameras do: neighbours are 6 cm apart, the
    # rounding is 1 cm.
    lon, lat, _ = GEOD.fwd([0.1] * 180, [52.0] * 180, [30.0] * 180, [i / 18 for i in range(180)])
    track = clean(
        _track(np.round(lat, 7).tolist(), np.round(lon, 7).tolist(), [i / 18 for i in range(180)]),
        90.0,
    )
    assert np.abs(track.heading_deg - 30.0).max() < 1.5


def test_nothing_is_derived_across_a_gap() -> None:
    seconds = [0, 1, 2, 30, 31, 32]
    track = clean(
        _track([52.0 + s * 1e-4 for s in seconds], [0.1] * 6, [float(s) for s in seconds]),
        90.0,
        max_gap_s=10.0,
    )
    assert np.isnan(track.heading_deg).tolist() == [False, False, True, True, False, False]
    assert track.speed_mps == pytest.approx([11.125] * 6, abs=0.01)


def test_an_empty_track_and_a_single_fix_are_clean() -> None:
    assert len(clean(_track([], []), 90.0)) == 0
    single = clean(_track([52.0], [0.1]), 90.0)
    assert len(single) == 1
    assert np.isnan(single.heading_deg[0])


# --- interpolation ---


def test_positions_lie_on_the_line_between_two_fixes() -> None:
    track = _track(
        [10.0, 10.001],
        [20.0, 20.003],
        altitude_m=[0, 10],
        speed_mps=[2, 4],
        heading_deg=[350, 10],
        accuracy_m=[3, math.nan],
    )
    found = positions(
        track,
        max_gap_s=10.0,
        times_us=np.array([T0_US, T0_US + 500_000, T0_US + 750_000, T0_US + 1_000_000]),
    )
    here = found.position_at(1)
    assert here is not None
    assert (here.latitude, here.longitude) == pytest.approx((10.0005, 20.0015))
    assert (here.altitude_m, here.speed_mps, here.accuracy_m, here.source) == (
        5.0,
        3.0,
        None,
        "test",
    )
    assert found.heading_deg.tolist() == pytest.approx([350.0, 0.0, 5.0, 10.0])
    assert here.odometer_m == pytest.approx(_metres(10.0, 20.0, 10.001, 20.003) / 2)
    first = found.position_at(0)
    assert first is not None
    assert first.accuracy_m == 3.0  # on a fix, what its neighbour doesn't know doesn't matter


def test_headings_turn_the_shorter_way_in_both_directions() -> None:
    track = _track([10.0, 10.001, 10.002], [20.0] * 3, heading_deg=[10.0, 350.0, 170.5])
    found = positions(track, max_gap_s=10.0, times_us=T0_US + np.array([250_000, 1_500_000]))
    assert found.heading_deg.tolist() == pytest.approx([5.0, 260.25])


def test_an_unknown_heading_does_not_spoil_those_elsewhere() -> None:
    track = _track(
        [10.0 + i * 1e-4 for i in range(5)],
        [20.0] * 5,
        heading_deg=[350.0, math.nan, math.nan, 350.0, 10.0],
    )
    found = positions(
        track,
        max_gap_s=10.0,
        times_us=T0_US + np.array([0, 500_000, 1_000_000, 2_500_000, 3_000_000, 3_500_000]),
    )
    assert found.heading_deg == pytest.approx(
        [350.0, math.nan, math.nan, math.nan, 350.0, 0.0], nan_ok=True
    )


def test_the_antimeridian_is_crossed_the_short_way() -> None:
    track = clean(_track([0.5, 0.5, 0.5], [179.9995, -179.9999, -179.9993]), 90.0)
    assert len(track) == 3
    assert odometer(track, 10.0)[2] == pytest.approx(_metres(0.5, 179.9995, 0.5, -179.9993))
    found = positions(
        track,
        max_gap_s=10.0,
        times_us=T0_US + np.array([0, 500_000, 750_000, 1_000_000, 1_500_000]),
    )
    assert found.longitude == pytest.approx([179.9995, 179.9998, 179.99995, -179.9999, -179.9996])
    assert track.heading_deg == pytest.approx([90.0] * 3, abs=0.01)


def test_there_is_no_position_outside_the_track_or_in_another_time() -> None:
    times = np.array(
        [T0_US - 2, T0_US - 3_600_000_000, T0_US + 9_000_002, T0_US + 3_600_000_000, NO_TIME]
    )
    found = positions(_northward(10), max_gap_s=10.0, times_us=times)
    assert [found.position_at(i) for i in range(5)] == [None] * 5
    media = Track.of("test", [52.0, 52.0001], [0.1, 0.1], media_s=[0.0, 1.0])
    assert positions(media, max_gap_s=10.0, times_us=np.array([T0_US])).position_at(0) is None


def test_a_gap_has_no_positions_but_its_edges_do() -> None:
    track = _track([52.0, 52.001, 52.002], [0.1] * 3, [0, 10, 20.5])
    found = positions(
        track,
        max_gap_s=10.0,
        times_us=T0_US + np.array([5_000_000, 10_000_000, 10_000_003, 15_000_000, 20_500_000]),
    )
    assert np.isnan(found.latitude).tolist() == [False, False, True, True, False]
    assert (
        found.odometer_m[4] == found.odometer_m[1] == pytest.approx(_metres(52.0, 0.1, 52.001, 0.1))
    )


def test_positions_at_media_times() -> None:
    track = Track.of("test", [52.0, 52.001], [0.1, 0.1], media_s=[0.0, 1.0])
    found = positions(track, max_gap_s=10.0, media_s=np.array([-0.1, 0.25, 1.0, math.nan]))
    assert found.latitude == pytest.approx([math.nan, 52.00025, 52.001, math.nan], nan_ok=True)
    with pytest.raises(ValueError, match="either"):
        positions(track, max_gap_s=10.0)


def test_an_empty_track_has_no_positions() -> None:
    found = positions(_track([], []), max_gap_s=10.0, times_us=np.array([T0_US]))
    assert found.position_at(0) is None
    assert len(odometer(_track([], []), 10.0)) == 0


# --- files and where they lie ---


def test_read_track_chooses_by_extension_in_any_case_and_applies_the_offset(tmp_path: Path) -> None:
    gpx = _write_gpx(
        tmp_path / "A.GPX", [(52.0, 0.1, T0), (52.0001, 0.1, T0 + dt.timedelta(seconds=1))]
    )
    nmea = _write(tmp_path / "a.Nmea", _rmc("100000", "5212.0000", "00007.2000"))
    table = _write(tmp_path / "a.csv", "time,lat,lon\n1777629600,52.2,0.1\n")
    for path in (gpx, nmea, table):
        assert read_track(path, TrackSettings(offset_s=2.0), None).time_us[0] == T0_US + 2_000_000


def test_read_track_tells_the_kinds_that_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError, match=r"\.kml is no known kind of track; there are \.gpx, \.nmea"
    ):
        read_track(_write(tmp_path / "a.kml", "<kml/>"), TrackSettings(), None)
    with pytest.raises(SourceError, match="can't be read"):
        read_track(tmp_path / "missing.gpx", TrackSettings(), None)


def test_read_track_says_why_nothing_is_left(tmp_path: Path) -> None:
    path = _write_gpx(tmp_path / "a.gpx", [(0.0, 0.0, T0), (0.0, 0.0, T0), (52.0, 0.1, None)])
    with pytest.raises(
        SourceError,
        match=r"no fix is left of the track \(1 without a time; 2 impossible coordinates\)",
    ):
        read_track(path, TrackSettings(), None)


def test_sidecars_of_a_video_share_its_name_and_hold_a_track(tmp_path: Path) -> None:
    video = tmp_path / "clip.mp4"
    names = ["clip.gpx", "clip.mp4.gpx", "CLIP.NMEA", "clip.csv", "clip.log", "clip.txt"]
    for name in [*names, "clip.mp4", "other.gpx", "clip2.gpx", "._clip.gpx", "clip.json"]:
        _write(tmp_path / name, "x")
    _write(tmp_path / "clip.csv", "time,lat,lon\n")
    _write(tmp_path / "clip.log", "[1]" + _rmc("100000", "5212.0000", "00007.2000"))
    assert [p.name for p in sidecars(video)] == sorted(set(names) - {"clip.txt"})
    _write(tmp_path / "clip.csv", "frame,label\n1,road\n")
    assert "clip.csv" not in [p.name for p in sidecars(video)]


def test_sidecars_of_an_image_folder_are_all_its_tracks(tmp_path: Path) -> None:
    for name in ["b.gpx", "a.NMEA", "c.csv", "img.jpg"]:
        _write(tmp_path / name, "x")
    assert [p.name for p in sidecars(tmp_path)] == ["a.NMEA", "b.gpx"]
    assert sidecars(tmp_path / "missing" / "clip.mp4") == []
