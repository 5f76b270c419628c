"""What a photograph's EXIF says of time and place."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from segpipe.core.types import Position
from segpipe.runtime.pictures import open_image, turned_by_exif_alone
from segpipe.telemetry.exif_place import position_of
from segpipe.telemetry.exif_values import text_of, triple_of

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS = len("2026:05:01 10:00:00")
_DATES = (
    (Base.DateTimeOriginal, Base.SubsecTimeOriginal, Base.OffsetTimeOriginal),
    (Base.DateTimeDigitized, Base.SubsecTimeDigitized, Base.OffsetTimeDigitized),
)
"""The moment of exposure, then that of digitising; the file's own DateTime is when it was last
edited and isn't used."""


@dataclass(frozen=True, slots=True)
class ExifFacts:
    """Time and place of an image; None for what isn't there or can't be read.

    `raw_time` is the text of DateTimeOriginal, its fraction and offset as found; `moment` the same
    as a datetime, aware if the offset is known and naive if not. `gps_time_us` is the receiver's
    time, UTC in microseconds since 1970. `position` is of source `exif`. `void`: the receiver had
    no fix (GPSStatus V), so neither its position nor its time counts. `unturned`: it has an
    orientation, which has no effect in this format.
    """

    raw_time: str | None = None
    moment: datetime | None = None
    gps_time_us: int | None = None
    position: Position | None = None
    void: bool = False
    unturned: bool = False


def read_exif(path: Path) -> ExifFacts | None:
    """Read an image's EXIF without decoding its pixels; None where it has none or can't be opened.
    Raises nothing."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with open_image(path) as image:
                if image.format == "PNG" and "exif" not in image.info:
                    return None  # Pillow would decode the whole picture to look behind it
                exif = image.getexif()
                details, gps = _directory(exif, IFD.Exif), _directory(exif, IFD.GPSInfo)
                if not len(exif):
                    return None
                unturned = turned_by_exif_alone(image, path)
    except Exception:  # noqa: BLE001 - a damaged file makes Pillow raise nearly anything, and an image without facts is no error
        return None
    raw_time, moment = _time(details)
    if text_of(gps.get(GPS.GPSStatus)).upper()[:1] == "V":
        return ExifFacts(raw_time, moment, void=True, unturned=unturned)
    return ExifFacts(raw_time, moment, _gps_time_us(gps), position_of(gps), unturned=unturned)


def _directory(exif: Image.Exif, which: IFD) -> dict[int, Any]:
    try:
        return dict(exif.get_ifd(which))
    except Exception:  # noqa: BLE001 - as above; the other directory may still be whole
        return {}


def _time(details: dict[int, Any]) -> tuple[str | None, datetime | None]:
    for date_tag, fraction_tag, offset_tag in _DATES:
        text = text_of(details.get(date_tag))
        if not text.strip(": 0"):  # blanks, or zeros: how cameras write a clock that was never set
            continue
        fraction, offset = (
            text_of(details.get(fraction_tag)),
            text_of(details.get(offset_tag)) or text_of(details.get(Base.OffsetTime)),
        )
        return text + (f".{fraction}" if fraction else "") + offset, _moment(text, fraction, offset)
    return None, None


def _moment(text: str, fraction: str, offset: str) -> datetime | None:
    """The standard's `2026:05:01 10:00:00`, and what programs write instead: dashes, a T, decimals
    and a zone in the same text."""
    if len(text) < _SECONDS:  # to a day or a minute only
        return None
    try:
        moment = datetime.fromisoformat(re.sub(r"^(\d{4})[:/](\d\d)[:/](\d\d)", r"\1-\2-\3", text))
        zone = datetime.strptime(offset, "%z").tzinfo if offset and moment.tzinfo is None else None
    except ValueError:
        return None if offset == "" else _moment(text, fraction, "")
    if fraction.isdecimal() and fraction.isascii() and not moment.microsecond:
        moment = moment.replace(microsecond=int(fraction[:6].ljust(6, "0")))
    return moment if zone is None else moment.replace(tzinfo=zone)


def _gps_time_us(gps: dict[int, Any]) -> int | None:
    clock = triple_of(gps.get(GPS.GPSTimeStamp))
    parts = text_of(gps.get(GPS.GPSDateStamp)).replace("-", ":").split(":")
    if clock is None or len(parts) != 3:
        return None
    try:
        day = datetime.combine(date(*(int(p) for p in parts)), datetime.min.time(), UTC)
    except (ValueError, OverflowError):
        return None
    hours, minutes, seconds = clock
    if not (0 <= hours < 24 and 0 <= minutes < 60 and 0 <= seconds < 61):
        return None
    return (day - _EPOCH) // timedelta(microseconds=1) + round(
        (hours * 3600 + minutes * 60 + seconds) * 1e6
    )
