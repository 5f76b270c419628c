"""Time and place from EXIF, of images that Pillow writes here."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base
from PIL.TiffImagePlugin import IFDRational

from segpipe.telemetry.exif import read_exif

CAMBRIDGE: dict[int, Any] = {
    GPS.GPSLatitudeRef: "N",
    GPS.GPSLatitude: (52.0, 12.0, 18.0),
    GPS.GPSLongitudeRef: "W",
    GPS.GPSLongitude: (0.0, 7.0, 12.0),
}


def _image(
    folder: Path,
    gps: dict[int, Any] | None = None,
    details: dict[int, Any] | None = None,
    name: str = "a.jpg",
) -> Path:
    exif = Image.Exif()
    exif[Base.Make] = f"Test {name}"  # two images differ
    for directory, tags in ((IFD.GPSInfo, gps), (IFD.Exif, details)):
        if tags:
            exif.get_ifd(directory).update({tag: _rational(value) for tag, value in tags.items()})
            exif[directory] = exif.get_ifd(directory)  # else Pillow leaves it out of a TIFF
    Image.new("RGB", (8, 8)).save(folder / name, exif=exif)
    return folder / name


def _rational(value: Any) -> Any:
    """Numbers as cameras write them."""
    if isinstance(value, tuple):
        return tuple(_rational(part) for part in value)
    return IFDRational(value) if isinstance(value, float) else value


def _position(folder: Path, gps: dict[int, Any]) -> Any:
    facts = read_exif(_image(folder, gps))
    assert facts is not None
    return facts.position


def test_time_with_fraction_and_offset_is_aware(tmp_path: Path) -> None:
    details = {
        Base.DateTimeOriginal: "2026:05:01 12:00:00",
        Base.SubsecTimeOriginal: "25",
        Base.OffsetTimeOriginal: "+02:00",
    }
    facts = read_exif(_image(tmp_path, details=details))
    assert facts is not None
    assert facts.raw_time == "2026:05:01 12:00:00.25+02:00"
    assert facts.moment == dt.datetime(2026, 5, 1, 10, 0, 0, 250_000, dt.UTC)
    assert facts.position is None
    assert facts.gps_time_us is None


def test_time_without_an_offset_stays_naive(tmp_path: Path) -> None:
    facts = read_exif(_image(tmp_path, details={Base.DateTimeOriginal: "2026:05:01 12:00:00"}))
    assert facts is not None
    assert facts.moment == dt.datetime(2026, 5, 1, 12, 0, 0)
    assert facts.moment.tzinfo is None


def test_the_files_own_offset_and_the_digitised_time_stand_in(tmp_path: Path) -> None:
    details = {Base.DateTimeDigitized: "2026:05:01 12:00:00", Base.OffsetTime: "-03:30"}
    facts = read_exif(_image(tmp_path, details=details))
    assert facts is not None
    assert facts.moment is not None
    assert facts.moment.astimezone(dt.UTC) == dt.datetime(2026, 5, 1, 15, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    "text", ["0000:00:00 00:00:00", "    :  :     :  :  ", "", "yesterday", "2026:13:01 00:00:00"]
)
def test_a_time_that_is_none_is_no_moment(tmp_path: Path, text: str) -> None:
    facts = read_exif(
        _image(tmp_path, details={Base.DateTimeOriginal: text, Base.OffsetTimeOriginal: "x"})
    )
    assert facts is not None
    assert facts.moment is None


def test_a_broken_offset_leaves_the_time_naive(tmp_path: Path) -> None:
    details = {
        Base.DateTimeOriginal: "2026:05:01 12:00:00",
        Base.OffsetTimeOriginal: "   :  ",
        Base.SubsecTimeOriginal: "x",
    }
    facts = read_exif(_image(tmp_path, details=details))
    assert facts is not None
    assert facts.moment == dt.datetime(2026, 5, 1, 12, 0, 0)


def test_gps_time_is_utc_microseconds(tmp_path: Path) -> None:
    facts = read_exif(
        _image(tmp_path, {GPS.GPSDateStamp: "2026:05:01", GPS.GPSTimeStamp: (10.0, 0.0, 1.5)})
    )
    assert facts is not None
    assert facts.gps_time_us == 1_777_629_601_500_000


@pytest.mark.parametrize(
    "gps",
    [
        {GPS.GPSTimeStamp: (10.0, 0.0, 0.0)},
        {GPS.GPSDateStamp: "2026:05:01"},
        {GPS.GPSDateStamp: "2026:02:31", GPS.GPSTimeStamp: (10.0, 0.0, 0.0)},
        {GPS.GPSDateStamp: "2026:05:01", GPS.GPSTimeStamp: (25.0, 0.0, 0.0)},
        {GPS.GPSDateStamp: "2026:05:01", GPS.GPSTimeStamp: (IFDRational(1, 0), 0.0, 0.0)},
    ],
)
def test_half_a_gps_time_is_none(tmp_path: Path, gps: dict[int, Any]) -> None:
    facts = read_exif(_image(tmp_path, gps))
    assert facts is not None
    assert facts.gps_time_us is None


def test_a_full_position(tmp_path: Path) -> None:
    gps = {
        **CAMBRIDGE,
        GPS.GPSAltitudeRef: b"\x01",
        GPS.GPSAltitude: 2.5,
        GPS.GPSSpeedRef: "K",
        GPS.GPSSpeed: 36.0,
        GPS.GPSTrackRef: "T",
        GPS.GPSTrack: 80.0,
        GPS.GPSImgDirectionRef: "T",
        GPS.GPSImgDirection: 270.5,
        GPS.GPSHPositioningError: 4.0,
    }
    found = _position(tmp_path, gps)
    assert (found.latitude, found.longitude) == pytest.approx((52.205, -0.12))
    assert (
        found.altitude_m,
        found.speed_mps,
        found.heading_deg,
        found.accuracy_m,
    ) == pytest.approx((-2.5, 10.0, 270.5, 4.0))
    assert found.source == "exif"


@pytest.mark.parametrize(
    ("unit", "expected"),
    [("K", 2.77778), ("M", 4.4704), ("N", 5.14444), ("?", None), (None, 2.77778)],
)
def test_speeds_have_their_unit(tmp_path: Path, unit: str | None, expected: float | None) -> None:
    gps = {**CAMBRIDGE, GPS.GPSSpeed: 10.0, **({GPS.GPSSpeedRef: unit} if unit else {})}
    assert _position(tmp_path, gps).speed_mps == (
        None if expected is None else pytest.approx(expected, abs=1e-5)
    )


def test_a_magnetic_direction_gives_way_to_the_true_track(tmp_path: Path) -> None:
    gps = {**CAMBRIDGE, GPS.GPSImgDirectionRef: "M", GPS.GPSImgDirection: 270.0}
    assert _position(tmp_path, gps).heading_deg is None
    assert (
        _position(tmp_path, {**gps, GPS.GPSTrackRef: "T", GPS.GPSTrack: 80.0}).heading_deg == 80.0
    )
    assert _position(tmp_path, {**CAMBRIDGE, GPS.GPSImgDirection: 360.0}).heading_deg == 0.0


@pytest.mark.parametrize("missing", list(CAMBRIDGE))
def test_a_position_without_hemisphere_or_angle_is_none(tmp_path: Path, missing: int) -> None:
    assert (
        _position(tmp_path, {tag: value for tag, value in CAMBRIDGE.items() if tag != missing})
        is None
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {GPS.GPSLatitude: (IFDRational(52, 0), 0.0, 0.0)},
        {GPS.GPSLatitude: (IFDRational(0, 0), IFDRational(0, 0), IFDRational(0, 0))},
        {GPS.GPSLatitude: (95.0, 0.0, 0.0)},
        {GPS.GPSLatitude: (0.0, 0.0, 0.0), GPS.GPSLongitude: (0.0, 0.0, 0.0)},
        {GPS.GPSLatitudeRef: "X"},
    ],
)
def test_a_position_that_cannot_be_is_none(tmp_path: Path, wrong: dict[int, Any]) -> None:
    assert _position(tmp_path, {**CAMBRIDGE, **wrong}) is None


def test_broken_extras_leave_the_position(tmp_path: Path) -> None:
    zero = IFDRational(1, 0)
    broken = {
        GPS.GPSAltitude: zero,
        GPS.GPSSpeed: zero,
        GPS.GPSTrack: zero,
        GPS.GPSHPositioningError: zero,
    }
    found = _position(tmp_path, {**CAMBRIDGE, **broken})
    assert (found.altitude_m, found.speed_mps, found.heading_deg, found.accuracy_m) == (
        None,
        None,
        None,
        None,
    )


def test_wrong_types_never_raise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Pillow hands on of files with tags of a wrong type: texts, bytes, numbers, nested and
    empty tuples."""
    path = _image(tmp_path, CAMBRIDGE)
    for wrong in (
        "text",
        b"\xff\x00",
        7,
        -1.5,
        (),
        (1,),
        ("a", "b", "c"),
        ((1, 2), (3, 4), (5, 6)),
        None,
        [None],
        1e400,
        "9" * 400,
    ):
        tags = {
            **dict.fromkeys(range(32), wrong),
            **{tag: wrong for group in ((0x9003, 0x9291, 0x9011),) for tag in group},
        }
        monkeypatch.setattr(Image.Exif, "get_ifd", lambda self, which, tags=tags: tags)
        facts = read_exif(path)
        assert facts is not None
        assert facts.position is None


def test_images_without_exif_and_files_that_are_no_images_have_none(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "plain.png")
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.jpg").write_bytes(b"")
    for path in (
        tmp_path / "plain.png",
        tmp_path / "text.jpg",
        tmp_path / "empty.jpg",
        tmp_path / "missing.jpg",
    ):
        assert read_exif(path) is None


@pytest.mark.parametrize("name", ["a.png", "a.webp", "a.tiff"])
def test_exif_is_read_from_other_formats_too(tmp_path: Path, name: str) -> None:
    facts = read_exif(_image(tmp_path, CAMBRIDGE, name=name))
    assert facts is not None
    assert facts.position is not None
    assert facts.position.latitude == pytest.approx(52.205)


def test_damaged_exif_never_raises(tmp_path: Path) -> None:
    details = {Base.DateTimeOriginal: "2026:05:01 12:00:00", Base.OffsetTimeOriginal: "+02:00"}
    whole = _image(tmp_path, CAMBRIDGE, details).read_bytes()
    end = whole.index(b"\xff\xdb")  # the EXIF lies before the first table
    path = tmp_path / "damaged.jpg"
    for place in range(20, end):
        for value in (0x00, 0xFF, whole[place] ^ 0x08):
            path.write_bytes(whole[:place] + bytes([value]) + whole[place + 1 :])
            read_exif(path)
    for length in range(0, end, 7):
        path.write_bytes(whole[:length])
        read_exif(path)
