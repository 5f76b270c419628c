"""What a photograph's EXIF says of its place."""

from __future__ import annotations

from typing import Any

from PIL.ExifTags import GPS

from segpipe.core.types import Position
from segpipe.telemetry.exif_values import number_of, text_of, triple_of

SPEED_MPS = {"K": 1 / 3.6, "M": 1609.344 / 3600, "N": 1852 / 3600}
"""Metres a second in one of GPSSpeedRef's units: kilometres an hour, miles an hour, knots."""


def position_of(gps: dict[int, Any]) -> Position | None:
    """The position in a directory of GPS; none without both hemispheres: which side of the equator
    or of Greenwich it is would be a guess."""
    latitude = _angle(gps, GPS.GPSLatitude, GPS.GPSLatitudeRef, "NS", 90.0)
    longitude = _angle(gps, GPS.GPSLongitude, GPS.GPSLongitudeRef, "EW", 180.0)
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None
    accuracy = number_of(gps.get(GPS.GPSHPositioningError))
    return Position(
        latitude,
        longitude,
        "exif",
        altitude_m=_altitude(gps),
        speed_mps=_speed(gps),
        heading_deg=_heading(gps),
        accuracy_m=accuracy if accuracy is not None and accuracy >= 0 else None,
    )


def _angle(
    gps: dict[int, Any], tag: int, ref_tag: int, hemispheres: str, limit: float
) -> float | None:
    parts, ref = triple_of(gps.get(tag)), text_of(gps.get(ref_tag)).upper()[:1]
    if parts is None or not ref or ref not in hemispheres:
        return None
    value = parts[0] + parts[1] / 60 + parts[2] / 3600
    if not 0 <= value <= limit:
        return None
    return -value if ref == hemispheres[1] else value


def _altitude(gps: dict[int, Any]) -> float | None:
    value, ref = number_of(gps.get(GPS.GPSAltitude)), gps.get(GPS.GPSAltitudeRef)
    if value is None:
        return None
    below = ref in {1, 3, "1", "3"} or (
        isinstance(ref, bytes) and ref[:1] in {b"\x01", b"\x03", b"1", b"3"}
    )
    return -abs(value) if below else value


def _speed(gps: dict[int, Any]) -> float | None:
    """Metres a second; kilometres an hour where no unit is given, as the standard says."""
    value = number_of(gps.get(GPS.GPSSpeed))
    unit = text_of(gps.get(GPS.GPSSpeedRef)).upper()[:1] or "K"
    return (
        value * SPEED_MPS[unit] if value is not None and value >= 0 and unit in SPEED_MPS else None
    )


def _heading(gps: dict[int, Any]) -> float | None:
    """Where the camera looks, else where it moves; degrees from true north (from magnetic north
    they are not used)."""
    for tag, ref_tag in (
        (GPS.GPSImgDirection, GPS.GPSImgDirectionRef),
        (GPS.GPSTrack, GPS.GPSTrackRef),
    ):
        value, ref = number_of(gps.get(tag)), text_of(gps.get(ref_tag)).upper()[:1]
        if value is not None and 0 <= value <= 360 and ref in {"", "T"}:
            return value % 360.0
    return None
