"""Telemetry inside videos: GoPro files made here byte by byte, the real clip where it is at hand,
other readers as witnesses."""

from __future__ import annotations

import datetime as dt
import json
import shutil
import struct
import subprocess
import sys
import venv
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from segpipe.core.errors import SourceError
from segpipe.sources.video.telemetry import embedded_track
from segpipe.telemetry import exiftool, gopro
from segpipe.telemetry.clean import clean
from segpipe.telemetry.exiftool import exiftool_track
from segpipe.telemetry.gpmf import gps9_samples
from segpipe.telemetry.interpolate import positions
from segpipe.telemetry.track import NO_TIME, Track
from tests.clock import HANG_S
from tests.conftest import TEST_DATA

CLIPS = TEST_DATA / "data" / "clips"
CLIP, PLAIN = CLIPS / "max-heromode.mp4", CLIPS / "solidWhiteRight.mp4"
needs_clip = pytest.mark.skipif(not CLIP.is_file(), reason=f"no real clip at {CLIP}")
needs_exiftool = pytest.mark.skipif(
    shutil.which("exiftool") is None, reason="exiftool isn't installed"
)
T0 = dt.datetime(2026, 5, 1, 10, 0, 0, tzinfo=dt.UTC)
T0_US = 1_777_629_600_000_000
GARBAGE = np.random.default_rng(0).integers(0, 256, 5000, np.uint8).tobytes()
Fixes = list[tuple[float, float, float, float]]
"""Latitude, longitude, altitude, speed."""

# --- a GoPro file, by GoPro's description of GPMF and the MP4 standard ---


def _klv(key: str, kind: str, size: int, data: bytes) -> bytes:
    head = struct.pack(
        ">4scBH", key.encode(), kind.encode() if kind else b"\0", size, len(data) // size
    )
    return head + data + bytes(-len(data) % 4)


def _payload(*stream: bytes) -> bytes:
    device = _klv("DVID", "L", 4, struct.pack(">I", 1)) + _klv("DVNM", "c", 1, b"Hero Test")
    return _klv("DEVC", "", 1, device + _klv("STRM", "", 1, b"".join(stream)))


def _gps5(
    fixes: list[tuple[float, float, float, float]],
    utc: dt.datetime,
    fix: int = 3,
    dop: float = 1.5,
    stamp_us: int = 0,
) -> bytes:
    rows = [
        struct.pack(">5i", round(a * 1e7), round(b * 1e7), round(c * 1e3), round(d * 1e3), 0)
        for a, b, c, d in fixes
    ]
    return _payload(
        _klv("STMP", "J", 8, struct.pack(">Q", stamp_us)),
        _klv("GPSF", "L", 4, struct.pack(">I", fix)),
        _klv("GPSU", "U", 16, utc.strftime("%y%m%d%H%M%S.%f")[:16].encode()),
        _klv("GPSP", "S", 2, struct.pack(">H", round(dop * 100))),
        _klv("SCAL", "l", 4, struct.pack(">5i", 10_000_000, 10_000_000, 1000, 1000, 100)),
        _klv("GPS5", "l", 20, b"".join(rows)),
    )


def _gps9(fixes: Fixes, utc: dt.datetime, fix: int = 3, dop: float = 1.5) -> bytes:
    days = (utc.date() - dt.date(2000, 1, 1)).days
    rows = []
    for i, (a, b, c, d) in enumerate(fixes):
        ms = round(
            (utc - utc.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds() * 1000
        ) + i * 1000 // len(fixes)
        numbers = (
            round(a * 1e7),
            round(b * 1e7),
            round(c * 1e3),
            round(d * 1e3),
            0,
            days,
            ms,
            round(dop * 100),
            fix,
        )
        rows.append(struct.pack(">7i2H", *numbers))
    return _payload(
        _klv("TYPE", "c", 1, b"lllllllSS"),
        _klv(
            "SCAL",
            "l",
            4,
            struct.pack(">9i", 10_000_000, 10_000_000, 1000, 1000, 100, 1, 1000, 100, 1),
        ),
        _klv("GPS9", "?", 32, b"".join(rows)),
    )


def _box(kind: str, *content: bytes) -> bytes:
    data = b"".join(content)
    return struct.pack(">I4s", len(data) + 8, kind.encode()) + data


def _gpmd_track(payloads: list[bytes], first_offset: int) -> bytes:
    """A track of one payload a second, one after the other from an offset in the file."""
    count, offsets, place = len(payloads), [], first_offset
    for payload in payloads:
        offsets.append(place)
        place += len(payload)
    table = _box(
        "stbl",
        _box("stsd", struct.pack(">II", 0, 1), _box("gpmd", bytes(6), struct.pack(">HI", 1, 0))),
        _box("stts", struct.pack(">IIII", 0, 1, count, 1000)),
        _box("stsc", struct.pack(">IIIII", 0, 1, 1, 1, 1)),
        _box("stsz", struct.pack(f">III{count}I", 0, 0, count, *(len(p) for p in payloads))),
        _box("stco", struct.pack(f">II{count}I", 0, count, *offsets)),
    )
    references = _box(
        "dinf", _box("dref", struct.pack(">II", 0, 1), _box("url ", struct.pack(">I", 1)))
    )
    media = _box(
        "mdia",
        _box("mdhd", struct.pack(">IIIIIHH", 0, 0, 0, 1000, 1000 * count, 0x55C4, 0)),
        _box("hdlr", struct.pack(">II4s12x", 0, 0, b"meta"), b"GoPro MET\0"),
        _box("minf", _box("nmhd", bytes(4)), references, table),
    )
    matrix = struct.pack(">9I", 0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)
    head = (
        struct.pack(">IIIII I 8x HHHH", 1, 0, 0, 9, 0, 1000 * count, 0, 0, 0, 0) + matrix + bytes(8)
    )
    return _box("trak", _box("tkhd", head), media)


def _video(path: Path, payloads: list[bytes] | None = None) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for i in range(10 * max(len(payloads or [0]), 1)):
            picture = av.VideoFrame.from_ndarray(
                np.full((64, 64, 3), i % 255, np.uint8), format="rgb24"
            )
            picture.pts, picture.time_base = i, Fraction(1, 10)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    if payloads:
        data = path.read_bytes()
        moov = data.rindex(b"moov") - 4
        media = _box("mdat", *payloads)
        track = _gpmd_track(payloads, moov + 8)
        path.write_bytes(data[:moov] + media + _box("moov", data[moov + 8 :], track))
    return path


def _fixes(second: int, count: int = 10) -> Fixes:
    """Northward along 0.1 W, 1e-4 degrees (11 m) a second, at -5 m."""
    return [(52.0 + (second + i / count) * 1e-4, -0.1, -5.0, 11.1) for i in range(count)]


@pytest.fixture
def no_exiftool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exiftool.shutil, "which", lambda name: None)


# --- GoPro ---


@pytest.mark.usefixtures("no_exiftool")
@pytest.mark.parametrize("kind", [_gps5, _gps9])
def test_the_fixes_of_a_gopro_file_have_their_places_and_times(
    tmp_path: Path, kind: object
) -> None:
    payloads = [kind(_fixes(s), T0 + dt.timedelta(seconds=s)) for s in range(4)]  # type: ignore[operator]
    track = embedded_track(_video(tmp_path / "a.mp4", payloads))
    assert track is not None
    assert track.source == "embedded:gopro"
    assert track.latitude == pytest.approx(52.0 + np.arange(40) * 1e-5, abs=1e-7)
    assert track.longitude == pytest.approx([-0.1] * 40)
    assert track.media_s == pytest.approx(np.arange(40) / 10, abs=1e-6)
    assert track.time_us - T0_US == pytest.approx(np.arange(40) * 100_000, abs=1)
    assert track.altitude_m == pytest.approx([-5.0] * 40)
    assert track.speed_mps == pytest.approx([11.1] * 40)
    assert track.accuracy_m == pytest.approx([7.5] * 40)  # dilution 1.5
    assert track.dropped == {}


@pytest.mark.usefixtures("no_exiftool")
@pytest.mark.parametrize("kind", [_gps5, _gps9])
def test_fixes_without_a_lock_are_dropped_counted_and_their_time_is_not_trusted(
    tmp_path: Path, kind: object
) -> None:
    unset = dt.datetime(2015, 1, 1, tzinfo=dt.UTC)
    payloads = [kind(_fixes(s), unset, fix=0) for s in range(3)]  # type: ignore[operator]
    payloads += [kind(_fixes(s), T0 + dt.timedelta(seconds=s), fix=2) for s in (3, 4)]  # type: ignore[operator]
    track = embedded_track(_video(tmp_path / "a.mp4", payloads))
    assert track is not None
    assert track.dropped == {"without a fix": 30}
    assert track.media_s[0] == pytest.approx(3.0)
    assert track.time_us[0] == pytest.approx(T0_US + 3_000_000, abs=1)


@pytest.mark.usefixtures("no_exiftool")
def test_a_jump_of_the_cameras_clock_moves_no_fix(tmp_path: Path) -> None:
    off = {0: -1.5}  # the first payload says what the receiver had guessed
    payloads = [_gps5(_fixes(s), T0 + dt.timedelta(seconds=s + off.get(s, 0.0))) for s in range(5)]
    track = embedded_track(_video(tmp_path / "a.mp4", payloads))
    assert track is not None
    assert track.time_us - T0_US == pytest.approx(np.arange(50) * 100_000, abs=1)


@pytest.mark.usefixtures("no_exiftool")
def test_media_times_count_from_the_first_frame(tmp_path: Path) -> None:
    track = embedded_track(
        _video(
            tmp_path / "a.mp4", [_gps5(_fixes(s), T0 + dt.timedelta(seconds=s)) for s in range(2)]
        ),
        0.5,
    )
    assert track is not None
    assert track.media_s[[0, 5]] == pytest.approx([-0.5, 0.0], abs=1e-6)
    # UTC doesn't depend on where media times begin
    assert track.time_us[5] == pytest.approx(T0_US + 500_000, abs=1)


@pytest.mark.usefixtures("no_exiftool")
def test_the_cameras_own_clock_stands_in_where_the_parser_skips_payloads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    payloads = [
        _gps5(_fixes(s), T0 + dt.timedelta(seconds=s), stamp_us=70_000 + s * 1_000_000)
        for s in range(4)
    ]
    path = _video(tmp_path / "a.mp4", payloads)
    parsed = gopro._parsed
    monkeypatch.setattr(gopro, "_parsed", lambda p: (parsed(p)[0], parsed(p)[1][:3]))
    track = embedded_track(path)
    assert track is not None
    assert track.media_s == pytest.approx(np.arange(30) / 10, abs=1e-6)


@pytest.mark.usefixtures("no_exiftool")
def test_without_telemetry_parser_gps5_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "telemetry_parser", None)
    assert embedded_track(_video(tmp_path / "a.mp4", [_gps5(_fixes(0), T0)])) is None
    assert embedded_track(_video(tmp_path / "b.mp4", [_gps9(_fixes(0), T0)])) is not None


def test_damaged_gps9_payloads_are_none() -> None:
    whole = _gps9(_fixes(0), T0)
    assert gps9_samples(whole) is not None
    for length in range(len(whole)):
        gps9_samples(whole[:length])
    rng = np.random.default_rng(1)
    for _ in range(500):
        damaged = bytearray(whole)
        for place in rng.integers(0, len(whole), 4):
            damaged[place] = rng.integers(256)
        gps9_samples(bytes(damaged))
    assert gps9_samples(b"") is None


# --- no telemetry ---


@pytest.mark.parametrize("content", [None, b"", b"no video at all", GARBAGE])
def test_what_holds_no_telemetry_is_none_and_silent(
    tmp_path: Path, content: bytes | None, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.mp4"
    if content is None:
        _video(path)
    else:
        path.write_bytes(content)
    assert embedded_track(path) is None
    assert embedded_track(tmp_path / "missing.mp4") is None
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "payload",
    [
        b"DEVC",
        b"DEVC\0\1\xff\xff",
        b"DEVC" + bytes(range(256)),
        _payload(_klv("STNM", "c", 1, b"none")),
    ],
)
def test_damaged_telemetry_is_none(tmp_path: Path, payload: bytes) -> None:
    assert embedded_track(_video(tmp_path / "a.mp4", [payload, payload])) is None


# --- exiftool ---


@needs_exiftool
def test_exiftool_finds_the_same_fixes_in_a_gopro_file(tmp_path: Path) -> None:
    path = _video(
        tmp_path / "a b-ü.mp4", [_gps5(_fixes(s), T0 + dt.timedelta(seconds=s)) for s in range(3)]
    )
    track, other = embedded_track(path), exiftool_track(path, 0.0)
    assert track is not None
    assert other is not None
    assert other.source == "embedded:exiftool"
    _assert_same(other, track)


def test_exiftools_samples_of_other_cameras_become_fixes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What exiftool writes of a dashcam with a fix a second, one sample without a fix, and a part
    of a sample."""
    tags = {"SourceFile": "a.mp4", "Main:GPSLatitude": 52.0, "Main:GPSLongitude": 0.1}
    for i in range(4):
        document = f"Doc{i + 1}"
        tags |= {f"{document}:SampleTime": float(i), f"{document}:SampleDuration": 1.0}
        if i != 2:
            place = document if i < 3 else f"{document}-1"
            copy = f"{place}:Copy{i}" if i else place
            tags |= {
                f"{copy}:GPSDateTime": f"2026:05:01 10:00:0{i}Z",
                f"{copy}:GPSLatitude": 52.0 + i * 1e-4,
            }
            tags |= {
                f"{copy}:GPSLongitude": -0.1,
                f"{copy}:GPSTrack": 0.5,
                f"{copy}:GPSSpeed": 40.0,
            }
    _pretend_exiftool(tmp_path, monkeypatch, json.dumps([tags]))
    track = exiftool_track(tmp_path / "a.mp4", 0.25)
    assert track is not None
    assert track.latitude == pytest.approx([52.0, 52.0001, 52.0003])
    assert track.media_s == pytest.approx([-0.25, 0.75, 2.75])
    assert track.time_us.tolist() == [T0_US, T0_US + 1_000_000, T0_US + 3_000_000]
    assert track.heading_deg.tolist() == [0.5] * 3
    assert np.isnan(track.speed_mps).all()  # its unit isn't known: speed is derived later
    assert clean(track, 90.0).speed_mps == pytest.approx([11.13] * 3, abs=0.05)


def test_exiftools_fixes_without_a_time_have_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tags = {
        "Doc1:GPSLatitude": 52.0,
        "Doc1:GPSLongitude": 0.1,
        "Doc2:GPSLatitude": "x",
        "Doc2:GPSLongitude": 0.1,
        "Doc3:GPSLatitude": 1,
    }
    _pretend_exiftool(
        tmp_path, monkeypatch, json.dumps([{**tags, "Doc1:GPSDateTime": "0000:00:00 00:00:00"}])
    )
    track = exiftool_track(tmp_path / "a.mp4", 0.0)
    assert track is not None
    assert len(track) == 2
    assert (track.time_us == NO_TIME).all()
    assert len(clean(track, 90.0)) == 0


@pytest.mark.parametrize("output", ["", "no JSON", "[]", "{}", "[3]", '[{"SourceFile": "a"}]'])
def test_what_exiftool_cannot_say_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str
) -> None:
    _pretend_exiftool(tmp_path, monkeypatch, output)
    assert exiftool_track(tmp_path / "a.mp4", 0.0) is None


def test_an_exiftool_that_hangs_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _pretend_exiftool(tmp_path, monkeypatch, "", "import time; time.sleep(60)")
    monkeypatch.setattr(exiftool, "TIMEOUT_S", 0.5)
    with pytest.raises(SourceError, match="took more than"):
        exiftool_track(tmp_path / "a.mp4", 0.0)


def _pretend_exiftool(
    folder: Path, monkeypatch: pytest.MonkeyPatch, output: str, before: str = ""
) -> None:
    program = folder / "exiftool"
    program.write_text(f"#!{sys.executable}\n{before}\nprint({output!r})\n")
    program.chmod(0o755)
    monkeypatch.setattr(exiftool.shutil, "which", lambda name: str(program))


# --- the real clip ---


def _assert_same(track: Track, other: Track) -> None:
    assert len(track) == len(other)
    assert np.abs(track.latitude - other.latitude).max() < 1e-9
    assert np.abs(track.longitude - other.longitude).max() < 1e-9
    assert np.abs(track.altitude_m - other.altitude_m).max() < 1e-6
    assert np.abs(track.media_s - other.media_s).max() < 0.05
    assert np.abs(track.time_us - other.time_us).max() < 50_000


@needs_clip
def test_the_real_clip_has_191_fixes_on_one_clock() -> None:
    track = embedded_track(CLIP)
    assert track is not None
    assert (track.source, len(track), track.dropped) == ("embedded:gopro", 191, {})
    assert (track.latitude[0], track.longitude[0]) == (33.12677, -117.3273436)
    # Its clock says 23:45:14.000 at first and jumps by 1.5 s in the first second; from then on the
    # start is 23:45:15.4.
    said = dt.datetime(2019, 11, 18, 23, 45, 15, 440_000, dt.UTC).timestamp() * 1e6
    assert abs(track.time_us[0] - said) < 50_000
    assert np.ptp(track.time_us - track.media_s * 1e6) <= 1.0
    assert (track.media_s[0], track.media_s[-1]) == pytest.approx((0.0, 10.4897))


@needs_clip
def test_the_real_clip_has_a_position_for_every_frame() -> None:
    found = embedded_track(CLIP)
    assert found is not None
    track = clean(found, 90.0)
    assert track.dropped == {}
    at = positions(track, max_gap_s=10.0, media_s=np.arange(315) * 1001 / 30_000)
    assert np.isfinite(at.latitude[:314]).all()
    # It walks at 1 m/s to the south-east, by the camera's own speed and by the bearing of the whole
    # way.
    assert 1.0 < np.nanmedian(at.speed_mps) < 1.5
    assert np.nanmedian(at.heading_deg) == pytest.approx(150.0, abs=15.0)


@needs_clip
@needs_exiftool
def test_exiftool_agrees_on_the_real_clip() -> None:
    track, other = embedded_track(CLIP), exiftool_track(CLIP, 0.0)
    assert track is not None
    assert other is not None
    _assert_same(track, other)


@pytest.mark.skipif(not PLAIN.is_file(), reason=f"no real clip at {PLAIN}")
def test_the_real_clip_without_telemetry_has_none(capfd: pytest.CaptureFixture[str]) -> None:
    assert embedded_track(PLAIN) is None
    assert capfd.readouterr() == ("", "")


WITNESS = """
import json, sys
from pathlib import Path
from mapillary_tools.geotag.video_extractors.native import NativeVideoExtractor
points = NativeVideoExtractor(Path(sys.argv[1])).extract().points
print(json.dumps([(p.time, p.lat, p.lon, p.alt) for p in points]))
"""


@pytest.mark.slow
@needs_clip
def test_mapillary_tools_agrees_on_the_real_clip(tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    install = [python, "-m", "pip", "install", "-q", "mapillary_tools==0.14.7"]
    done = subprocess.run(install, capture_output=True, text=True, timeout=HANG_S, check=False)
    if done.returncode:
        pytest.skip(
            f"pip can't install mapillary_tools here ({' '.join(done.stderr.split())[-120:]})"
        )
    witness = subprocess.run(
        [python, "-c", WITNESS, str(CLIP)],
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=True,
    )
    media_s, latitude, longitude, altitude_m = np.array(
        json.loads(witness.stdout.splitlines()[-1])
    ).T
    track = embedded_track(CLIP)
    assert track is not None
    assert len(latitude) == 191
    other = Track.of(
        "witness",
        latitude,
        longitude,
        media_s=media_s,
        altitude_m=altitude_m,
        time_us=track.time_us,
    )
    _assert_same(track, other)
