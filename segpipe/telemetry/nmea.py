"""NMEA 0183 logs: RMC and GGA sentences, joined by their time of day."""

from __future__ import annotations

import datetime as dt
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pynmea2  # type: ignore[import-untyped]

from segpipe.errors import SourceError
from segpipe.isolation import alive
from segpipe.telemetry.track import METRES_PER_DOP, Track

KNOT_MPS = 1852 / 3600
_HALF_DAY_US, _DAY_US = 43_200_000_000, 86_400_000_000
_SNIFF_BYTES = 65_536
_COLUMNS = ("time_us", "latitude", "longitude", "altitude_m", "accuracy_m", "speed_mps", "heading_deg")
_EPOCH_DAY = dt.date(1970, 1, 1)


@dataclass
class _Moment:
    """What the sentences of one time of day say; microseconds since midnight UTC."""

    of_day_us: int
    days: int | None = None
    rmc: Any = None
    gga: Any = None


def read_nmea(path: Path) -> Track:
    """Read the RMC and GGA sentences of a log; what stands before a line's `$` (dashcams write their own clock there) is ignored.

    RMC gives date, position, speed (knots to m/s) and true course; GGA of the same time of day altitude and accuracy (hdop times
    METRES_PER_DOP). A moment with GGA alone takes its date from the RMC or ZDA sentences around it, over midnight too. Dropped and
    counted: moments without a fix (RMC status V, GGA quality 0) or without a position, lines with a wrong checksum, lines that are
    no NMEA. Raises SourceError where the file can't be read, holds no RMC or GGA, or no date.
    """
    dropped: Counter[str] = Counter()
    moments = list(_moments(path, dropped))
    if not moments:
        said = "".join(f"; {count} lines: {reason}" for reason, count in dropped.items()) or "; the file is empty"
        raise SourceError(f"{path}: holds no RMC or GGA sentence{said}; give a log of NMEA 0183 sentences ($GPRMC, $GPGGA)")
    if not _date(moments):
        raise SourceError(
            f"{path}: holds GGA sentences, which have a time of day, and no RMC or ZDA with the date;"
            " switch RMC on in the recorder, or convert the log to GPX or CSV with full times"
        )
    found = [_fix(moment) for moment in _joined(moments)]
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
    return any(b"$" in line and line.partition(b"$")[2][2:6] in {b"RMC,", b"GGA,"} for line in head.splitlines())


def _moments(path: Path, dropped: Counter[str]) -> Iterator[_Moment]:
    """Sentences of one time of day that follow each other, together."""
    now: _Moment | None = None
    for sentence in _sentences(path, dropped):
        time = sentence.timestamp
        if not isinstance(time, dt.time):
            dropped["without a time"] += 1
            continue
        of_day_us = ((time.hour * 60 + time.minute) * 60 + time.second) * 1_000_000 + time.microsecond
        if now is None or now.of_day_us != of_day_us:
            if now is not None:
                yield now
            now = _Moment(of_day_us)
        date = _date_of(sentence)
        now.days = now.days if date is None else (date - _EPOCH_DAY).days
        if sentence.sentence_type == "RMC" and (now.rmc is None or now.rmc.status != "A"):
            now.rmc = sentence
        elif sentence.sentence_type == "GGA" and (now.gga is None or not now.gga.gps_qual):
            now.gga = sentence
    if now is not None:
        yield now


def _sentences(path: Path, dropped: Counter[str]) -> Iterator[Any]:
    """The RMC, GGA and ZDA sentences. Other kinds are nothing of ours and aren't counted."""
    try:
        with path.open("r", encoding="ascii", errors="replace") as file:
            for line in file:
                alive()
                start = line.rfind("$")  # the last one: where a line end was lost, the second sentence is whole
                try:
                    sentence = pynmea2.parse(line[start:].strip("\0 \r\n\t")) if start >= 0 else None
                except pynmea2.ChecksumError:
                    dropped["wrong checksum"] += 1
                    continue
                except pynmea2.SentenceTypeError:
                    continue
                except (pynmea2.ParseError, ValueError):
                    sentence = None
                if sentence is None:
                    dropped["no NMEA"] += bool(line.strip())
                elif getattr(sentence, "sentence_type", "") in {"RMC", "GGA", "ZDA"}:
                    yield sentence
    except OSError as error:
        raise SourceError(f"{path}: can't be read ({error.strerror})") from None


def _date_of(sentence: Any) -> dt.date | None:
    if sentence.sentence_type == "RMC":
        return sentence.datestamp if isinstance(sentence.datestamp, dt.date) else None
    if sentence.sentence_type == "ZDA":
        try:
            return dt.date(int(sentence.year), int(sentence.month), int(sentence.day))
        except (TypeError, ValueError):
            return None
    return None


def _date(moments: list[_Moment]) -> bool:
    """Give moments without a date that of the one before, and the first ones that of the one after. False if none has any."""
    for way in (moments, moments[::-1]):
        known: _Moment | None = None
        for moment in way:
            if moment.days is None and known is not None and known.days is not None:
                # More than half a day between neighbours means that midnight lies between them.
                ahead = moment.of_day_us - known.of_day_us
                moment.days = known.days + (ahead < -_HALF_DAY_US) - (ahead > _HALF_DAY_US)
            known = moment if moment.days is not None else known
    return all(moment.days is not None for moment in moments)


def _joined(moments: list[_Moment]) -> list[_Moment]:
    """Moments of one time that didn't follow each other in the log, together; those with ZDA alone (a date, no place) go."""
    found: dict[tuple[int | None, int], _Moment] = {}
    for moment in moments:
        first = found.setdefault((moment.days, moment.of_day_us), moment)
        first.rmc = first.rmc or moment.rmc
        first.gga = first.gga or moment.gga
    return [moment for moment in found.values() if moment.rmc or moment.gga]


def _fix(moment: _Moment) -> dict[str, Any] | str:
    """A moment's fix, or why it has none."""
    alive()
    rmc, gga = moment.rmc, moment.gga
    if (rmc is not None and rmc.status != "A") or (gga is not None and not gga.gps_qual):
        return "without a fix"
    place = rmc if rmc is not None else gga
    try:
        latitude, longitude = place.latitude, place.longitude
    except ValueError:
        return "without a position"
    if place.lat_dir not in {"N", "S"} or place.lon_dir not in {"E", "W"} or not place.lat or not place.lon:
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
    try:
        return float(getattr(sentence, name))
    except (AttributeError, TypeError, ValueError):
        return math.nan
