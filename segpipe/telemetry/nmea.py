"""NMEA 0183 logs: RMC and GGA sentences, joined by their time of day."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

from segpipe.core.errors import SourceError
from segpipe.runtime.isolation import heartbeat
from segpipe.telemetry.nmea_moments import Moment, give_dates, joined, moments_in
from segpipe.telemetry.track import METRES_PER_DOP, Track

KNOT_MPS = 1852 / 3600
_DAY_US = 86_400_000_000
_SNIFF_BYTES = 65_536
_COLUMNS = (
    "time_us",
    "latitude",
    "longitude",
    "altitude_m",
    "accuracy_m",
    "speed_mps",
    "heading_deg",
)


def read_nmea(path: Path) -> Track:
    """Read the RMC and GGA sentences of a log; what stands before a line's `$` (dashcams write
    their own clock there) is ignored.

    RMC gives date, position, speed (knots to m/s) and true course; GGA of the same time of day
    altitude and accuracy (hdop times METRES_PER_DOP). A moment with GGA alone takes its date from
    the RMC or ZDA sentences around it, over midnight too. Dropped and counted: moments without a
    fix (RMC status V, GGA quality 0) or without a position, lines with a wrong checksum, lines that
    are no NMEA. Raises SourceError where the file can't be read, holds no RMC or GGA, or no date.
    """
    dropped: Counter[str] = Counter()
    moments = list(moments_in(path, dropped))
    if not moments:
        said = (
            "".join(f"; {count} lines: {reason}" for reason, count in dropped.items())
            or "; the file is empty"
        )
        raise SourceError(
            f"{path}: holds no RMC or GGA sentence{said}; give a log of NMEA 0183 sentences "
            "($GPRMC, $GPGGA)"
        )
    if not give_dates(moments):
        raise SourceError(
            f"{path}: holds GGA sentences, which have a time of day, and no RMC or ZDA with "
            "the date;"
            " switch RMC on in the recorder, or convert the log to GPX or CSV with full times"
        )
    found = [_fix(moment) for moment in joined(moments)]
    dropped.update(reason for reason in found if isinstance(reason, str))
    fixes = [fix for fix in found if isinstance(fix, dict)]
    columns = {name: [fix[name] for fix in fixes] for name in _COLUMNS}
    return Track.of(f"nmea:{path.name}", dropped=dict(dropped), **columns)


def looks_like_nmea(path: Path) -> bool:
    """Whether the beginning of a file holds an RMC or GGA sentence."""
    try:
        with path.open("rb") as file:
            head = file.read(_SNIFF_BYTES)
    except OSError:
        return False
    return any(
        b"$" in line and line.partition(b"$")[2][2:6] in {b"RMC,", b"GGA,"}
        for line in head.splitlines()
    )


def _fix(moment: Moment) -> dict[str, Any] | str:
    """A moment's fix, or why it has none."""
    heartbeat()
    rmc, gga = moment.rmc, moment.gga
    if (rmc is not None and rmc.status != "A") or (gga is not None and not gga.gps_qual):
        return "without a fix"
    place = rmc if rmc is not None else gga
    try:
        latitude, longitude = place.latitude, place.longitude
    except ValueError:
        return "without a position"
    if (
        place.lat_dir not in {"N", "S"}
        or place.lon_dir not in {"E", "W"}
        or not place.lat
        or not place.lon
    ):
        return "without a position"
    return {
        "time_us": (moment.days or 0) * _DAY_US + moment.of_day_us,
        "latitude": latitude,
        "longitude": longitude,
        "altitude_m": _number(gga, "altitude"),
        "accuracy_m": _number(gga, "horizontal_dil") * METRES_PER_DOP,
        "speed_mps": _number(rmc, "spd_over_grnd") * KNOT_MPS,
        "heading_deg": _number(rmc, "true_course"),
    }


def _number(sentence: Any, name: str) -> float:
    """A value of a sentence; NaN where it has none, or none that is finite."""
    try:
        value = float(getattr(sentence, name))
    except (AttributeError, TypeError, ValueError):
        return math.nan
    return value if math.isfinite(value) else math.nan
