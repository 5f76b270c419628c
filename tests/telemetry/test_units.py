"""Speeds whose unit is wrong or isn't said, receivers without a fix, and videos that name one
place."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pandas as pd
import pytest
from PIL.ExifTags import GPS

from segpipe.sources.video.telemetry import embedded_location
from segpipe.telemetry.clean import clean
from segpipe.telemetry.exif import read_exif
from segpipe.telemetry.exiftool import exiftool_track
from segpipe.telemetry.gpx import read_gpx
from segpipe.telemetry.location import parse_iso6709
from segpipe.telemetry.speeds import speed_column
from segpipe.telemetry.table import read_csv
from segpipe.telemetry.track import Track
from tests.driving import write_gpx
from tests.telemetry.test_embedded import T0, T0_US, _pretend_exiftool
from tests.telemetry.test_exif import CAMBRIDGE, _image

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "-q")
DEGREE_M = 111_259.0
"""A degree of latitude at 52 degrees north."""
FACTORS = {"m/s": 1.0, "km/h": 3.6, "knots": 1.943844, "mph": 2.236936}


def _drive(
    count: int = 60, noise_m: float = 0.0, top_mps: float = 15.0
) -> tuple[list[float], list[float]]:
    """Latitudes, a second apart, of a drive northwards between 3 m/s and `top_mps`; and its
    speeds."""
    rng = np.random.default_rng(0)
    speed = 3.0 + (top_mps - 3.0) * (0.5 + 0.5 * np.sin(np.arange(count) / 8))
    way_m = np.concatenate(([0.0], np.cumsum((speed[1:] + speed[:-1]) / 2)))
    return (52.0 + (way_m + rng.normal(0, 1, count) * noise_m) / DEGREE_M).tolist(), speed.tolist()


def _csv(folder: Path, latitudes: list[float], speeds: list[float], name: str = "speed") -> Track:
    rows = [
        f"{T0_US / 1e6 + i:.3f},{lat:.8f},0.1,{s:.4f}"
        for i, (lat, s) in enumerate(zip(latitudes, speeds, strict=True))
    ]
    (folder / "a.csv").write_text(f"time,lat,lon,{name}\n" + "\n".join(rows))
    return read_csv(folder / "a.csv", {}, None)


def _gpx(path: Path, latitudes: list[float], speeds: list[float]) -> Path:
    points = "".join(
        f'<trkpt lat="{lat:.8f}" '
        f'lon="0.1"><time>{(T0 + dt.timedelta(seconds=i)).isoformat()}</time>'
        f"<speed>{s:.4f}</speed></trkpt>"
        for i, (lat, s) in enumerate(zip(latitudes, speeds, strict=True))
    )
    head = '<gpx version="1.0" creator="t" xmlns="http://www.topografix.com/GPX/1/0"><trk><trkseg>'
    path.write_text(f"{head}{points}</trkseg></trk></gpx>")
    return path


# --- units of speed ---


@pytest.mark.parametrize("unit", FACTORS)
@pytest.mark.parametrize("noise_m", [0.0, 1.5])
@pytest.mark.parametrize("kind", ["csv", "gpx"])
def test_speeds_are_metres_a_second_whatever_unit_they_came_in(
    unit: str, noise_m: float, kind: str, tmp_path: Path
) -> None:
    latitudes, speeds = _drive(noise_m=noise_m)
    given = [s * FACTORS[unit] for s in speeds]
    track = (
        _csv(tmp_path, latitudes, given)
        if kind == "csv"
        else read_gpx(_gpx(tmp_path / "a.gpx", latitudes, given))
    )
    assert track.speed_mps == pytest.approx(speeds, abs=2e-4)
    assert bool(track.notes) == (unit != "m/s")
    assert all(f"so they are taken for {unit}" in n for n in track.notes)


def test_slow_and_short_tracks_show_their_unit_too(tmp_path: Path) -> None:
    walk = [52.0 + 1.4 * i / DEGREE_M for i in range(60)]
    assert _csv(tmp_path, walk, [1.4 * 3.6] * 60).speed_mps == pytest.approx([1.4] * 60, abs=1e-4)
    rare = tmp_path / "rare.csv"
    rows = [
        f"2026-05-01T10:{i // 4:02d}:{i % 4 * 15:02d}Z,{52.0 + 150 * i / DEGREE_M},0.1,36.0"
        for i in range(8)
    ]
    rare.write_text("time,latitude,longitude,speed\n" + "\n".join(rows))
    assert read_csv(rare, {}, None).speed_mps == pytest.approx([10.0] * 8, abs=1e-3)
    short = [52.0 + 10 * i / DEGREE_M for i in range(4)]
    assert _csv(tmp_path, short, [36.0] * 4).speed_mps == pytest.approx([10.0] * 4)


def test_speeds_without_a_unit_that_cannot_be_checked_are_left_and_noted(tmp_path: Path) -> None:
    still = _csv(tmp_path, [52.0] * 30, [0.1] * 30)
    # Nought is nought in any unit
    assert (still.speed_mps.tolist(), still.notes) == (
        [0.1] * 30,
        (),
    )
    stuck = _csv(tmp_path, [52.0] * 30, [12.0] * 30)
    assert stuck.speed_mps.tolist() == [12.0] * 30
    assert "can't be checked" in stuck.notes[0]
    latitudes, _ = _drive()
    random = _csv(tmp_path, latitudes, np.random.default_rng(1).uniform(5, 90, 60).tolist())
    assert "can't be told" in random.notes[0]


def test_speeds_by_a_factor_of_no_unit_are_derived_instead(tmp_path: Path) -> None:
    latitudes, speeds = _drive()
    track = _csv(tmp_path, latitudes, [s * 100 for s in speeds])
    assert np.isnan(track.speed_mps).all()
    assert "no unit's factor" in track.notes[0]
    assert clean(track, 90.0).speed_mps == pytest.approx(speeds, abs=0.8)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("speed_kmh", "speed_kmh"),
        ("Speed (km/h)", "speed_kmh"),
        ("GPS speed [km/h]", "speed_kmh"),
        ("kph", "speed_kmh"),
        ("speed_kn", "speed_kn"),
        ("Speed (knots)", "speed_kn"),
        ("SOG kts", "speed_kn"),
        ("mph", "speed_mph"),
        ("speed_mph", "speed_mph"),
        ("speed (m/s)", "speed_mps"),
        ("GPS (2D speed) [m/s]", "speed_mps"),
        ("speed", None),
        ("ms", None),
        ("kn", None),
        ("speed_limit", None),
        ("heading", None),
    ],
)
def test_columns_that_name_their_unit(name: str, column: str | None) -> None:
    assert speed_column(name) == column


def test_a_named_unit_is_taken_at_its_word(tmp_path: Path) -> None:
    """Also where the positions say otherwise, and before a column that names none."""
    latitudes, _ = _drive()
    for name, metres in (
        ("speed (km/h)", 10.0),
        ("speed_kn", 36 * 1852 / 3600),
        ("mph", 36 * 0.44704),
        ("speed_mps", 36.0),
    ):
        track = _csv(tmp_path, latitudes, [36.0] * 60, name)
        assert track.speed_mps == pytest.approx([metres] * 60)
        assert track.notes == ()
    (tmp_path / "b.csv").write_text(f"time,lat,lon,speed,speed_kmh\n{T0_US / 1e6},52,0.1,99,36\n")
    assert read_csv(tmp_path / "b.csv", {}, None).speed_mps.tolist() == [10.0]


def test_rows_have_converted_speeds_and_the_run_says_so(tmp_path: Path, segpipe: Call) -> None:
    latitudes, speeds = _drive()
    _gpx(tmp_path / "clip.gpx", latitudes, [s * 3.6 for s in speeds])
    _plain(tmp_path / "clip.mp4")
    segpipe("run", tmp_path / "clip.mp4", "-o", tmp_path / "out", *FAKE, "--start", T0.isoformat())
    rows = pd.read_parquet(tmp_path / "out" / "frames").sort_values("pts_s")
    assert rows["speed_mps"].iloc[0] == pytest.approx(speeds[0], abs=1e-3)
    notes = pd.read_parquet(tmp_path / "out" / "sources")["notes"][0]
    assert any(
        n.startswith("track gpx:clip.gpx: its speeds are 3.6") and "taken for km/h" in n
        for n in notes
    )


# --- receivers without a fix ---


@pytest.mark.parametrize(("status", "void"), [("V", True), ("A", False), (None, False)])
def test_a_photo_of_a_receiver_without_a_fix_has_no_position(
    status: str | None, void: bool, tmp_path: Path
) -> None:
    moment = {GPS.GPSDateStamp: "2026:05:01", GPS.GPSTimeStamp: (10.0, 0.0, 0.0)}
    facts = read_exif(
        _image(tmp_path, CAMBRIDGE | moment | ({} if status is None else {GPS.GPSStatus: status}))
    )
    assert facts is not None
    assert (facts.position is None, facts.gps_time_us is None, facts.void) == (void, void, void)


def test_a_run_over_such_photos_says_how_many(tmp_path: Path, segpipe: Call) -> None:
    (tmp_path / "in").mkdir()
    for i, status in enumerate("AVV"):
        _image(tmp_path / "in", CAMBRIDGE | {GPS.GPSStatus: status}, name=f"{i}.jpg")
    segpipe("run", tmp_path / "in", "-o", tmp_path / "out", *FAKE)
    rows = pd.read_parquet(tmp_path / "out" / "frames").sort_values("uri")
    assert rows["latitude"].notna().tolist() == [True, False, False]
    notes = pd.read_parquet(tmp_path / "out" / "sources")["notes"][0]
    assert any("2 of 3 images: the receiver had no fix" in n for n in notes)


def test_gpx_points_without_a_fix_are_dropped_and_counted(tmp_path: Path) -> None:
    path = write_gpx(tmp_path / "a.gpx", T0, [(52.0, 0.1), (52.1, 0.1), (52.2, 0.1)])
    path.write_text(
        path.read_text().replace("</time></trkpt>", "</time><fix>none</fix></trkpt>", 1)
    )
    track = read_gpx(path)
    assert track.latitude.tolist() == [52.1, 52.2]
    assert track.dropped == {"without a fix": 1}


@pytest.mark.parametrize(
    ("unit", "mps"),
    [("K", 10.0), ("N", 36 * 1852 / 3600), ("M", 36 * 0.44704), ("x", math.nan), (None, math.nan)],
)
def test_exiftools_speeds_count_with_their_unit_and_void_fixes_do_not(
    unit: str | None, mps: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = {}
    for i in range(3):
        d = f"Doc{i + 1}"
        tags |= {
            f"{d}:SampleTime": float(i),
            f"{d}:SampleDuration": 1.0,
            f"{d}:GPSDateTime": f"2026:05:01 10:00:0{i}Z",
        }
        tags |= {
            f"{d}:GPSLatitude": 52.0 + i * 1e-4,
            f"{d}:GPSLongitude": 0.1,
            f"{d}:GPSSpeed": 36.0,
        }
        tags |= {f"{d}:GPSStatus": "V" if i == 1 else "A"} | (
            {} if unit is None else {f"{d}:GPSSpeedRef": unit}
        )
    _pretend_exiftool(tmp_path, monkeypatch, json.dumps([tags]))
    track = exiftool_track(tmp_path / "a.mp4", 0.0)
    assert track is not None
    assert track.latitude == pytest.approx([52.0, 52.0002])
    assert track.dropped == {"without a fix": 1}
    assert track.speed_mps == pytest.approx([mps, mps], nan_ok=True)


# --- the one place of a video ---


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("+52.2053+000.1218/", (52.2053, 0.1218, math.nan)),
        ("-33.8568+151.2153+012.300/", (-33.8568, 151.2153, 12.3)),
        ("+27.5916+086.5640+8850CRSWGS_84/", (27.5916, 86.564, 8850.0)),
        ("+40-075-5.5CRSWGS_84/", (40.0, -75.0, -5.5)),
        ("+5212.318-00007.308/", (52.2053, -0.1218, math.nan)),
        ("+521219.08-0000718.48+20/", (52.2053, -0.1218, 20.0)),
        (" +52.2053+000.1218", (52.2053, 0.1218, math.nan)),
        ("+4.6097-74.0817/", (4.6097, -74.0817, math.nan)),
    ],
)
def test_iso_6709(text: str, place: tuple[float, float, float]) -> None:
    assert parse_iso6709(text) == pytest.approx(place, abs=1e-6, nan_ok=True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "52.2053,0.1218",
        "+91.0+000.0/",
        "+52.0+181.0/",
        "+00.0000+000.0000/",
        "+5260.0+00007.0/",
        "+521260+0000718/",
        "+522+000.1/",
        "+52.2+0001.2/",
        "+52.2053/",
        "+52.2053+000.1218/ and more",
    ],
)
def test_what_is_no_point_in_iso_6709(text: str) -> None:
    assert parse_iso6709(text) is None


def _plain(path: Path, metadata: dict[str, str] | None = None, **options: str) -> Path:
    with av.open(str(path), "w", options=options) as container:
        container.metadata.update(metadata or {})
        stream = container.add_stream("mpeg4", rate=1)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for i in range(30):
            picture = av.VideoFrame.from_ndarray(
                np.full((64, 64, 3), 8 * i, np.uint8), format="rgb24"
            )
            picture.pts, picture.time_base = i, Fraction(1, 1)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


APPLE = "com.apple.quicktime.location"


@pytest.mark.parametrize(
    ("name", "metadata", "options", "expected"),
    [
        (
            "a.mov",
            {
                f"{APPLE}.ISO6709": "+52.2053+000.1218+012.300/",
                f"{APPLE}.accuracy.horizontal": "4.75",
            },
            {"movflags": "use_metadata_tags"},
            (12.3, 4.75),
        ),
        ("a.mp4", {"location": "+52.2053+000.1218/"}, {}, (None, None)),
    ],
)
def test_all_frames_have_the_one_place_that_the_file_names(
    name: str,
    metadata: dict[str, str],
    options: dict[str, str],
    expected: tuple[float | None, float | None],
    tmp_path: Path,
    segpipe: Call,
) -> None:
    clip = _plain(tmp_path / name, metadata, **options)
    code, printed, errors = segpipe("run", clip, "-o", tmp_path / "out", *FAKE)
    assert code == 0, errors
    rows = pd.read_parquet(tmp_path / "out" / "frames")
    assert set(rows["position_source"]) == {"embedded:location"}
    assert rows["latitude"].tolist() == pytest.approx([52.2053] * 30, abs=1e-4)
    assert rows["longitude"].tolist() == pytest.approx([0.1218] * 30, abs=1e-4)
    for column, value in zip(("altitude_m", "position_accuracy_m"), expected, strict=True):
        assert (
            rows[column].isna().all()
            if value is None
            else rows[column].tolist() == pytest.approx([value] * 30)
        )
    assert rows[["speed_mps", "heading_deg", "odometer_m"]].isna().all(axis=None)
    assert "one position that the file names (embedded:location)" in printed
    _, printed, _ = segpipe("info", tmp_path / "out")
    assert "place: embedded:location, one position for all frames" in printed
    # A track that fits is worth more.
    write_gpx(tmp_path / "t.gpx", T0, [(52.3 + i * 1e-5, 0.2) for i in range(40)])
    segpipe(
        "run",
        clip,
        "-o",
        tmp_path / "out",
        *FAKE,
        "--start",
        T0.isoformat(),
        "--track",
        tmp_path / "t.gpx",
    )
    rows = pd.read_parquet(tmp_path / "out" / "frames")
    assert set(rows["position_source"]) == {"gpx:t.gpx"}
    assert rows["speed_mps"].notna().all()


def test_without_embedded_in_the_order_the_place_is_not_used(tmp_path: Path, segpipe: Call) -> None:
    clip = _plain(tmp_path / "a.mp4", {"location": "+52.2053+000.1218/"})
    segpipe("run", clip, "-o", tmp_path / "out", *FAKE, "--set", "track.order=[files,sidecar]")
    assert pd.read_parquet(tmp_path / "out" / "frames")["latitude"].isna().all()


def test_a_file_that_names_no_place_has_none(tmp_path: Path) -> None:
    assert embedded_location(_plain(tmp_path / "a.mp4")) is None
    assert embedded_location(_plain(tmp_path / "b.mp4", {"location": "+00.0000+000.0000/"})) is None
    (tmp_path / "c.mp4").write_bytes(b"no video")
    assert embedded_location(tmp_path / "c.mp4") is None
