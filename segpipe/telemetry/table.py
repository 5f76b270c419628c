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

from segpipe.core.errors import ConfigError, SourceError
from segpipe.runtime.isolation import heartbeat
from segpipe.telemetry.speeds import UNITS, with_likely_unit
from segpipe.telemetry.table_columns import REQUIRED, find_columns
from segpipe.telemetry.track import Track

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


_UNITS = ((1e11, 1_000_000), (1e14, 1_000))
"""A number of a time below the first is seconds since 1970 (until the year 5138), below the second
milliseconds; and the microseconds of one."""
_TOO_LARGE = 2.0**63
"""A number of a time from which on its microseconds have no room in 64 bits."""


def read_csv(path: Path, columns: dict[str, str], timezone: str | None) -> Track:
    """Read a CSV file with a header; commas, semicolons or tabs between the cells.

    `columns` names the file's columns by what they hold (keys: those of KNOWN), for the rest
    well-known names are looked for. Times are ISO 8601, or seconds or milliseconds since 1970; ISO
    times without a zone are of `timezone` (of two readings in the hour that a clock is put back,
    the first). Rows that can't be parsed are dropped and counted. Raises ConfigError where a column
    isn't there or the times need a zone, SourceError where the file is empty, no text, or holds no
    row that can be read.
    """
    rows = _rows(path)
    header = next(rows, None)
    if header is None:
        raise SourceError(
            f"{path}: the file is empty; give a CSV file with a header and a row per fix"
        )
    places = find_columns(path, header, columns)
    zone = ZoneInfo(timezone) if timezone else None
    times, fixes, dropped = _fixes(path, rows, places, zone)
    if not times:
        said = (
            f"none of its {dropped['unreadable']} rows has a time and a place that can be read"
            if dropped
            else "has no rows"
        )
        raise SourceError(
            f"{path}: {said}; times are ISO 8601, or seconds or milliseconds since 1970, places "
            "are decimal degrees"
        )
    return _track(path, times, fixes, dict(dropped))


def _fixes(
    path: Path, rows: Iterator[list[str]], places: dict[str, int], zone: ZoneInfo | None
) -> tuple[list[int], dict[str, list[float]], Counter[str]]:
    """Times in microseconds since 1970, the other values of the fixes by their names, and how many
    rows were dropped for which reason."""
    dropped: Counter[str] = Counter()
    fixes: dict[str, list[float]] = {name: [] for name in places}
    times: list[int] = []
    for row in rows:
        heartbeat()
        try:
            time_us = _time_us(row[places["time"]], zone)
            values = {
                name: _cell(row, place, name in REQUIRED)
                for name, place in places.items()
                if name != "time"
            }
        except _NoZone as error:
            raise ConfigError(
                f"{path}: track CSV has times without zone (such as {error}); give "
                "time.timezone, such as Europe/London or UTC"
            ) from None
        except (ValueError, IndexError, OverflowError):
            dropped["unreadable"] += 1
            continue
        times.append(time_us)
        for name, value in values.items():
            fixes[name].append(value)
    return times, fixes, dropped


def looks_like_track(path: Path) -> bool:
    """Whether a CSV file's header has columns for time, latitude and longitude under well-known
    names."""
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
                raise SourceError(
                    f"{path}: is no text, so no CSV file; give a CSV file with a header and a "
                    "row per fix"
                )
            file.seek(0)
            first = next(filter(str.strip, head.splitlines()), "")
            delimiter = max(",;\t", key=first.count)
            yield from (
                row
                for row in csv.reader(file, delimiter=delimiter)
                if any(cell.strip() for cell in row)
            )
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
    if not abs(number) < _TOO_LARGE:
        raise ValueError("a time is a finite number that 64 bits hold")
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


def _track(
    path: Path, times: list[int], fixes: dict[str, list[float]], dropped: dict[str, int]
) -> Track:
    named = next((key for key in UNITS if key in fixes), None)
    speed = (
        fixes.get("speed") if named is None else [value * UNITS[named] for value in fixes[named]]
    )
    track = Track.of(
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
    return with_likely_unit(track) if named is None and speed is not None else track
