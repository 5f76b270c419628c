"""The time in a file's name, with the zone and the half of the day that the name itself states."""

from __future__ import annotations

import os
import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from pathlib import Path

from segpipe.core.config.time_and_place import TimeSettings
from segpipe.telemetry.readings import Reading

_END = r"(?![A-Za-z0-9])"
_HALF = r"(?:[\s_.-]*(?P<half>[AaPp])\.?[Mm](?![A-Za-z]))?"
_DECIMALS = rf"(?:[.,_-](?P<decimals>\d{{1,6}})(?=[Zz]{_END}|[+]\d)|)"
_OFFSET = r"(?P<sign>[+\u2212-])(?P<hours>\d\d?)(?:(?P<between>[-_.:]?)(?P<minutes>\d\d))?"
_ZONE = rf"(?P<zone>[\s_-]?[Zz]{_END}|[\s_-]?\(?(?P<name>UTC|GMT)(?:{_OFFSET})?{_END})"
_TAILS = (
    re.compile(_HALF + _DECIMALS + _ZONE),
    re.compile(rf"{_HALF}{_DECIMALS}(?P<zone>(?P<name>)[\s_]?{_OFFSET}){_END}"),
    re.compile(_HALF),
)
"""What may follow the time: the first that gives something counts."""
_COUNTER = re.compile(r"-(\d{4})(?!\d)")
_EAST = {(h, m) for h in range(14) for m in (0, 15, 30, 45)} | {(14, 0)}
_WEST = {(h, 0) for h in range(1, 13)} | {(2, 30), (3, 30), (4, 30), (9, 30)}
"""Offsets in use: of what follows a minus, other numbers are counters of clips."""
_FIELDS = ("year", "month", "day", "hour", "minute", "second")


def file_name_reading(path: Path, settings: TimeSettings) -> Reading | None:
    """The time in a file's name, by the settings' pattern; None where it has none.

    What follows the time counts: `Z`, `UTC` or an offset (`+0200`, `-05-00`) is its zone, `AM` or
    `PM` its half of the day, decimals before a zone its fraction.
    """
    wrong: Reading | None = None
    for found in re.finditer(settings.filename_pattern, path.name):
        tail, zone = _tail(path, found.end(), settings.filename_pattern)
        parts = {**found.groupdict(), **{k: v for k, v in tail.items() if v}}
        digits = parts.get("decimals") or parts.get("fraction") or ""
        try:
            values = {n: int(parts[n]) for n in _FIELDS}
            values["hour"] = _hour(values["hour"], parts.get("half"))
            moment = datetime(**values, tzinfo=zone)  # type: ignore[arg-type]
            fraction = float(f"0.{digits}") if digits else 0.0
        except (TypeError, ValueError):
            wrong = wrong or Reading("filename", found.group(0), None, note="no date and time")
            continue
        return Reading(
            "filename", found.group(0) + tail.get("text", ""), moment, -fraction, bool(digits)
        )
    return wrong


def time_in_name(path: Path) -> str:
    """The time in a file's name as digits, by segpipe's own pattern; with a `z`, and in UTC, where
    the name states a zone. Empty where there is none."""
    reading = file_name_reading(path, TimeSettings())
    if reading is None or reading.moment is None:
        return ""
    moment = reading.moment - timedelta(seconds=reading.back_s)
    zone = moment.tzinfo is not None
    moment = moment.astimezone(UTC) if zone else moment
    return f"{moment:%Y%m%d%H%M%S}{moment.microsecond or ''}{'z' if zone else ''}"


def _tail(path: Path, end: int, pattern: str) -> tuple[dict[str, str], tzinfo | None]:
    """What the name states after the time that ends at `end`, by name of its part (`text` is all
    of it), and the zone."""
    for tail in _TAILS:
        found = tail.match(path.name, end)
        if found is None:
            continue
        parts = found.groupdict()
        zone = _zone(parts, path, pattern)
        if zone is not None or not parts.get("zone"):
            return {**parts, "text": found.group(0) if zone or parts.get("half") else ""}, zone
    return {}, None


def _zone(parts: dict[str, str], path: Path, pattern: str) -> tzinfo | None:
    """The zone; None where there is none, or where a number after a sign is no offset."""
    if not parts.get("zone"):
        return None
    if not parts["sign"]:
        return UTC
    hours, minutes = parts["hours"], parts["minutes"] or ""
    east = parts["sign"] == "+"
    offset = (int(hours), int(minutes or 0))
    if offset not in (_EAST if east else _WEST):
        return None
    if not parts["name"]:
        if len(hours) == 1 or (not east and not minutes):
            return None
        if not east and not parts["between"] and _numbered(path, pattern):
            return None
    size = timedelta(hours=offset[0], minutes=offset[1])
    return timezone(size if east else -size)


def _hour(hour: int, half: str | None) -> int:
    """The hour of the day; what can't be one of a half of it is one of the whole day already."""
    if not half or not 1 <= hour <= 12:
        return hour
    return hour % 12 + (12 if half in "Pp" else 0)


def _numbered(path: Path, pattern: str) -> bool:
    """Whether a file beside it has a number after its time that is no offset: then these are
    counters."""
    try:
        return _has_counters(path.parent, path.parent.stat().st_mtime_ns, pattern)
    except OSError:
        return False


@lru_cache(maxsize=16)
def _has_counters(folder: Path, _mtime_ns: int, pattern: str) -> bool:
    for name in os.listdir(folder):
        for found in re.finditer(pattern, name):
            counter = _COUNTER.match(name, found.end())
            if counter and (int(counter[1][:2]), int(counter[1][2:])) not in _WEST:
                return True
    return False
