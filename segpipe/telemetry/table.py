"""CSV tracks: a header that names the columns, then a fix per row."""

from __future__ import annotations

import csv
import math
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from segpipe.errors import ConfigError, SourceError
from segpipe.isolation import alive
from segpipe.telemetry.track import Track

KNOWN = {
    "time": ("time", "timestamp", "datetime", "utc", "gps_time"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng", "long"),
    "altitude_m": ("altitude_m", "altitude", "elevation", "ele", "alt"),
    "speed_mps": ("speed_mps", "speed"),
    "speed_kmh": ("speed_kmh",),
    "heading_deg": ("heading_deg", "heading", "course", "bearing"),
    "accuracy_m": ("accuracy_m", "accuracy", "hacc"),
}
"""What a track has, and the column names that it is known by, in lower case."""
REQUIRED = ("time", "latitude", "longitude")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = ((1e11, 1_000_000), (1e14, 1_000))
"""A number of a time below the first is seconds since 1970 (until the year 5138), below the second milliseconds; and the
microseconds of one."""


def read_csv(path: Path, columns: dict[str, str], timezone: str | None) -> Track:
    """Read a CSV file with a header; commas, semicolons or tabs between the cells.

    `columns` names the file's columns by what they hold (keys: those of KNOWN), for the rest well-known names are looked for. Times
    are ISO 8601, or seconds or milliseconds since 1970; ISO times without a zone are of `timezone` (of two readings in the hour
    that a clock is put back, the first). Rows that can't be parsed are dropped and counted. Raises ConfigError where a column isn't
    there or the times need a zone, SourceError where the file is empty, no text, or holds no row that can be read.
    """
    rows = _rows(path)
    header = next(rows, None)
    if header is None:
        raise SourceError(f"{path}: the file is empty; give a CSV file with a header and a row per fix")
    places = find_columns(path, header, columns)
    zone = ZoneInfo(timezone) if timezone else None
    dropped: Counter[str] = Counter()
    fixes: dict[str, list[float]] = {name: [] for name in places}
    times: list[int] = []
    for row in rows:
        alive()
        try:
            time_us = _time_us(row[places["time"]], zone)
            values = {name: _cell(row, place, name in REQUIRED) for name, place in places.items() if name != "time"}
        except _NoZone as error:
            raise ConfigError(
                f"{path}: track CSV has times without zone (such as {error}); give time.timezone, such as Europe/London or UTC"
            ) from None
        except (ValueError, IndexError, OverflowError):
            dropped["unreadable"] += 1
            continue
        times.append(time_us)
        for name, value in values.items():
            fixes[name].append(value)
    if not times:
        said = f"none of its {dropped['unreadable']} rows has a time and a place that can be read" if dropped else "has no rows"
        raise SourceError(f"{path}: {said}; times are ISO 8601, or seconds or milliseconds since 1970, places are decimal degrees")
    return _track(path, times, fixes, dict(dropped))


def find_columns(path: Path, header: list[str], columns: dict[str, str]) -> dict[str, int]:
    """The place of each known column in a header. Raises ConfigError where a named or a required one isn't there."""
    listed = ", ".join(header)
    names = [h.strip() for h in header]
    lower = [n.casefold() for n in names]
    wrong = [key for key in columns if key not in KNOWN]
    if wrong:
        raise ConfigError(f"track.columns has the key {wrong[0]!r}; there are {', '.join(KNOWN)}")
    places = {}
    for key, well_known in KNOWN.items():
        wanted = columns.get(key)
        if wanted is not None:
            if wanted in names or wanted.casefold() in lower:
                places[key] = names.index(wanted) if wanted in names else lower.index(wanted.casefold())
                continue
            raise ConfigError(f"{path}: has no column {wanted!r} for {key}; its columns are {listed}")
        found = [lower.index(name) for name in well_known if name in lower]
        if found:
            places[key] = found[0]
    missing = [key for key in REQUIRED if key not in places]
    if missing:
        raise ConfigError(f"{path}: no column for {', '.join(missing)}; its columns are {listed}: name them in track.columns")
    return places


def looks_like_track(path: Path) -> bool:
    """Whether a CSV file's header has columns for time, latitude and longitude under well-known names."""
    try:
        return bool(find_columns(path, next(_rows(path), []), {}))
    except (ConfigError, SourceError):
        return False


def _rows(path: Path) -> Iterator[list[str]]:
    """The rows that aren't blank. Raises SourceError where the file is no text."""
    try:
        with path.open("r", encoding="utf-8-sig", errors="replace", newline="") as file:
            head = file.read(4096)
            if "\0" in head or head.count("�") > 20:
                raise SourceError(f"{path}: is no text, so no CSV file; give a CSV file with a header and a row per fix")
            file.seek(0)
            first = next(filter(str.strip, head.splitlines()), "")
            delimiter = max(",;\t", key=first.count)
            yield from (row for row in csv.reader(file, delimiter=delimiter) if any(cell.strip() for cell in row))
    except OSError as error:
        raise SourceError(f"{path}: can't be read ({error.strerror})") from None
    except csv.Error as error:
        raise SourceError(f"{path}: can't be read as CSV ({error})") from None


class _NoZone(Exception):
    """A time says no zone and none was given."""


def _time_us(text: str, zone: ZoneInfo | None) -> int:
    text = text.strip()
    try:
        number = float(text)
    except ValueError:
        time = datetime.fromisoformat(re.sub(r"^(\d{4})[/:.](\d\d)[/:.](\d\d)", r"\1-\2-\3", text))
        if time.tzinfo is None:
            if zone is None:
                raise _NoZone(text) from None
            time = time.replace(tzinfo=zone)
        return (time - _EPOCH) // timedelta(microseconds=1)
    if not math.isfinite(number):
        raise ValueError("a time is a finite number")
    return round(number * next((unit for limit, unit in _UNITS if abs(number) < limit), 1))


def _cell(row: list[str], place: int, required: bool) -> float:
    text = row[place].strip() if place < len(row) else ""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if required and not math.isfinite(value):
        raise ValueError(f"{text!r} is no number")
    return value if math.isfinite(value) else math.nan


def _track(path: Path, times: list[int], fixes: dict[str, list[float]], dropped: dict[str, int]) -> Track:
    speed = fixes.get("speed_mps")
    if speed is None and "speed_kmh" in fixes:
        speed = [value / 3.6 for value in fixes["speed_kmh"]]
    return Track.of(
        f"csv:{path.name}",
        fixes["latitude"],
        fixes["longitude"],
        time_us=times,
        altitude_m=fixes.get("altitude_m"),
        speed_mps=speed,
        heading_deg=fixes.get("heading_deg"),
        accuracy_m=fixes.get("accuracy_m"),
        dropped=dropped,
    )
