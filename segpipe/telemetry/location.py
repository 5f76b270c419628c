"""The one place that a telephone or camera writes into a video as metadata: ISO 6709 in MP4 and
MOV."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from segpipe.telemetry.track import LOCATION, Track

_APPLE = "com.apple.quicktime.location"
_KEYS = re.compile(rf"{re.escape(_APPLE)}\.ISO6709|location(-[a-z]{{3}})?", re.IGNORECASE)
_POINT = re.compile(
    r"([+-])(\d+)(\.\d*)?([+-])(\d+)(\.\d*)?(?:([+-]\d+(?:\.\d*)?)(?:CRS[\w:]*)?)?/?"
)
_LATITUDE, _LONGITUDE = (2, 90.0), (3, 180.0)
"""The digits of whole degrees, and the largest angle. Two more digits are minutes, two more
seconds."""


def location_in(metadata: Mapping[str, str]) -> Track | None:
    """The place that a video's metadata name, as a track of one fix whose place holds for the whole
    video; None where they name none. Raises nothing.

    Read are Apple's `com.apple.quicktime.location.ISO6709`, with its horizontal accuracy, and the
    atoms `©xyz` and `loci`, which FFmpeg calls `location`. 0, 0 stands for no place.
    """
    for key in sorted(filter(_KEYS.fullmatch, metadata)):  # Apple's come first: they say more
        place = parse_iso6709(metadata[key])
        if place is not None:
            accuracy_m = _metres(metadata.get(f"{_APPLE}.accuracy.horizontal", ""))
            latitude, longitude, altitude_m = place
            return Track.of(
                LOCATION,
                [latitude],
                [longitude],
                media_s=[0.0],
                altitude_m=[altitude_m],
                accuracy_m=[accuracy_m],
            )
    return None


def parse_iso6709(text: str) -> tuple[float, float, float] | None:
    """Latitude and longitude in degrees, altitude in metres (NaN if unknown) of a point in ISO
    6709, such as `+52.2053+000.1218+012.3/` or, in degrees and minutes, `+5212.318+00007.308/`;
    None if it is none."""
    found = _POINT.fullmatch(text.strip())
    if found is None:
        return None
    latitude = _angle(found.group(1), found.group(2), found.group(3) or "", *_LATITUDE)
    longitude = _angle(found.group(4), found.group(5), found.group(6) or "", *_LONGITUDE)
    if latitude is None or longitude is None or latitude == longitude == 0.0:
        return None
    return latitude, longitude, float(found.group(7) or math.nan)


def _angle(sign: str, digits: str, fraction: str, degree_digits: int, limit: float) -> float | None:
    """None for a number of digits that can be read in two ways, and for what is no angle."""
    if len(digits) > degree_digits and len(digits) not in {degree_digits + 2, degree_digits + 4}:
        return None
    degrees, rest = digits[:degree_digits], digits[degree_digits:]
    parts = [degrees, rest[:2], rest[2:]]
    last = max(i for i, part in enumerate(parts) if part)
    values = [float(part or 0) for part in parts]
    values[last] += float(f"0{fraction}") if len(fraction) > 1 else 0.0
    value = values[0] + values[1] / 60 + values[2] / 3600
    if values[1] >= 60 or values[2] >= 60 or value > limit:
        return None
    return -value if sign == "-" else value


def _metres(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) and value >= 0 else math.nan
