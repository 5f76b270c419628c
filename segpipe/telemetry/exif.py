"""What a photograph's EXIF says of time and place."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from segpipe.frames import Position

_SPEED_MPS = {"K": 1 / 3.6, "M": 1609.344 / 3600, "N": 1852 / 3600}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DATES = (
    (Base.DateTimeOriginal, Base.SubsecTimeOriginal, Base.OffsetTimeOriginal),
    (Base.DateTimeDigitized, Base.SubsecTimeDigitized, Base.OffsetTimeDigitized),
)
"""The moment of exposure, then that of digitising; the file's own DateTime is when it was last edited and isn't used."""


@dataclass(frozen=True, slots=True)
class ExifFacts:
    """Time and place of an image; None for what isn't there or can't be read.

    `raw_time` is the text of DateTimeOriginal, its fraction and offset as found; `moment` the same as a datetime, aware if the
    offset is known and naive if not. `gps_time_us` is the receiver's time, UTC in microseconds since 1970. `position` is of source
    `exif`.
    """

    raw_time: str | None = None
    moment: datetime | None = None
    gps_time_us: int | None = None
    position: Position | None = None


def read_exif(path: Path) -> ExifFacts | None:
    """Read an image's EXIF without decoding its pixels; None where it has none or can't be opened. Raises nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                if image.format == "PNG" and "exif" not in image.info:
                    return None  # Pillow would decode the whole picture to look behind it
                exif = image.getexif()
                details, gps = _directory(exif, IFD.Exif), _directory(exif, IFD.GPSInfo)
                if not len(exif):
                    return None
    except Exception:  # noqa: BLE001 - a damaged file makes Pillow raise nearly anything, and an image without facts is no error
        return None
    raw_time, moment = _time(details)
    return ExifFacts(raw_time, moment, _gps_time_us(gps), _position(gps))


def _directory(exif: Image.Exif, which: IFD) -> dict[int, Any]:
    try:
        return dict(exif.get_ifd(which))
    except Exception:  # noqa: BLE001 - as above; the other directory may still be whole
        return {}


def _time(details: dict[int, Any]) -> tuple[str | None, datetime | None]:
    for date_tag, fraction_tag, offset_tag in _DATES:
        text = _text(details.get(date_tag))
        if not text.strip(": 0"):  # blanks, or zeros: how cameras write a clock that was never set
            continue
        fraction, offset = _text(details.get(fraction_tag)), _text(details.get(offset_tag)) or _text(details.get(Base.OffsetTime))
        return text + (f".{fraction}" if fraction else "") + offset, _moment(text, fraction, offset)
    return None, None


def _moment(text: str, fraction: str, offset: str) -> datetime | None:
    try:
        moment = datetime.strptime(text, "%Y:%m:%d %H:%M:%S")
    except ValueError:
        return None
    if fraction.isdecimal() and fraction.isascii():
        moment = moment.replace(microsecond=int(fraction[:6].ljust(6, "0")))
    try:
        return moment.replace(tzinfo=datetime.strptime(offset, "%z").tzinfo) if offset else moment
    except ValueError:
        return moment


def _gps_time_us(gps: dict[int, Any]) -> int | None:
    clock = _triple(gps.get(GPS.GPSTimeStamp))
    parts = _text(gps.get(GPS.GPSDateStamp)).replace("-", ":").split(":")
    if clock is None or len(parts) != 3:
        return None
    try:
        day = datetime.combine(date(*(int(p) for p in parts)), datetime.min.time(), UTC)
    except (ValueError, OverflowError):
        return None
    hours, minutes, seconds = clock
    if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 61):
        return None
    return (day - _EPOCH) // timedelta(microseconds=1) + round((hours * 3600 + minutes * 60 + seconds) * 1e6)


def _position(gps: dict[int, Any]) -> Position | None:
    """None without both hemispheres: which side of the equator or of Greenwich it is would be a guess."""
    latitude = _angle(gps, GPS.GPSLatitude, GPS.GPSLatitudeRef, "NS", 90.0)
    longitude = _angle(gps, GPS.GPSLongitude, GPS.GPSLongitudeRef, "EW", 180.0)
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None
    accuracy = _number(gps.get(GPS.GPSHPositioningError))
    return Position(
        latitude,
        longitude,
        "exif",
        altitude_m=_altitude(gps),
        speed_mps=_speed(gps),
        heading_deg=_heading(gps),
        accuracy_m=accuracy if accuracy is not None and accuracy >= 0 else None,
    )


def _angle(gps: dict[int, Any], tag: int, ref_tag: int, hemispheres: str, limit: float) -> float | None:
    parts, ref = _triple(gps.get(tag)), _text(gps.get(ref_tag)).upper()[:1]
    if parts is None or not ref or ref not in hemispheres:
        return None
    value = parts[0] + parts[1] / 60 + parts[2] / 3600
    if not 0 <= value <= limit:
        return None
    return -value if ref == hemispheres[1] else value


def _altitude(gps: dict[int, Any]) -> float | None:
    value, ref = _number(gps.get(GPS.GPSAltitude)), gps.get(GPS.GPSAltitudeRef)
    if value is None:
        return None
    below = ref in {1, 3, "1", "3"} or (isinstance(ref, bytes) and ref[:1] in {b"\x01", b"\x03", b"1", b"3"})
    return -abs(value) if below else value


def _speed(gps: dict[int, Any]) -> float | None:
    """Metres a second; kilometres an hour where no unit is given, as the standard says."""
    value, unit = _number(gps.get(GPS.GPSSpeed)), _text(gps.get(GPS.GPSSpeedRef)).upper()[:1] or "K"
    return value * _SPEED_MPS[unit] if value is not None and value >= 0 and unit in _SPEED_MPS else None


def _heading(gps: dict[int, Any]) -> float | None:
    """Where the camera looks, else where it moves; degrees from true north (from magnetic north they are not used)."""
    for tag, ref_tag in ((GPS.GPSImgDirection, GPS.GPSImgDirectionRef), (GPS.GPSTrack, GPS.GPSTrackRef)):
        value, ref = _number(gps.get(tag)), _text(gps.get(ref_tag)).upper()[:1]
        if value is not None and 0 <= value <= 360 and ref in {"", "T"}:
            return value % 360.0
    return None


def _text(value: Any) -> str:
    if isinstance(value, bytes):
        value = value.decode("ascii", "replace")
    return value.replace("\0", "").strip() if isinstance(value, str) else ""


def _number(value: Any) -> float | None:
    """A finite number; None for a rational with denominator 0 and for other types."""
    try:
        number = float(value)
    except (TypeError, ValueError, ArithmeticError):
        return None
    return number if math.isfinite(number) else None


def _triple(value: Any) -> tuple[float, float, float] | None:
    """Degrees (or hours), minutes and seconds; what is missing at the end is 0."""
    if isinstance(value, (str, bytes)) or not hasattr(value, "__iter__"):
        value = (value,)
    numbers = [_number(part) for part in value][:3]
    known = [n for n in numbers if n is not None]
    if not known or len(known) != len(numbers):
        return None
    first, second, third = [*known, 0.0, 0.0][:3]
    return first, second, third
