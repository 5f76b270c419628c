"""The clocks of a source, and which of them says when its first moment was. A time without a zone is never guessed as UTC."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from segpipe.telemetry.exif import ExifFacts
from segpipe.telemetry.facts import Clock
from segpipe.telemetry.track import NO_TIME, Track
from segpipe.where import TimeSettings

NO_ZONE = "local time without a zone; time.timezone says which"
_FIRST_YEAR, _LAST_YEAR = 1981, 2199
"""Cameras whose clock was never set write 1904, 1970 or 1980, and some files lie."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def video_clocks(
    path: Path, mtime_ns: int, creation_time: str | None, duration_s: float, embedded: Track | None, settings: TimeSettings
) -> tuple[Clock, ...]:
    """Every clock of a video, each as the UTC time of its first frame's moment."""
    found = [_gps_clock(embedded), _container(creation_time, duration_s, settings), file_name_clock(path.name, settings)]
    if settings.start is not None:
        found.append(Clock("start", settings.start.isoformat(), _utc(settings.start, settings.timezone)))
    found.append(_mtime(mtime_ns, duration_s if settings.mtime_is == "end" else 0.0))
    return tuple(c for c in found if c is not None)


def image_clocks(path: Path, mtime_ns: int, exif: ExifFacts | None, settings: TimeSettings) -> tuple[Clock, ...]:
    """Every clock of an image."""
    found = [file_name_clock(path.name, settings)]
    if exif is not None and exif.gps_time_us is not None:
        gps = datetime.fromtimestamp(exif.gps_time_us / 1e6, UTC)
        found.append(replace(_dated("gps", str(gps), gps, None, 0.0), raw=_iso(exif.gps_time_us)))
    if exif is not None and exif.moment is not None:
        found.append(_dated("exif", exif.raw_time or str(exif.moment), exif.moment, settings.timezone, 0.0))
    found.append(_mtime(mtime_ns, 0.0))
    return tuple(Clock(c.source, c.raw, c.utc_us, c.note, path.name) for c in found if c is not None)


def choose(clocks: Iterable[Clock], settings: TimeSettings) -> tuple[int | None, str | None, float]:
    """The UTC time in microseconds, the clock's name, and the seconds that were added to it; None where there is no clock.

    The first of the settings' order that is there and usable. Neither GPS nor an explicit start is shifted by `offset_s`.
    """
    usable = {c.source: c.utc_us for c in clocks if c.utc_us is not None}
    for name in settings.order:
        if name in usable:
            shift = 0.0 if name in {"start", "gps"} else settings.offset_s
            return usable[name] + round(shift * 1e6), name, shift
    return None, None, 0.0


def _gps_clock(track: Track | None) -> Clock | None:
    """GPS time at the first frame: the median over the fixes, which single jumps of the camera's clock don't move."""
    if track is None:
        return None
    known = (track.time_us != NO_TIME) & np.isfinite(track.media_s)
    if not known.any():
        return None
    start = int(np.median(track.time_us[known] - np.round(track.media_s[known] * 1e6).astype(np.int64)))
    return Clock("gps", f"{_iso(int(track.time_us[known][0]))} at {track.media_s[known][0]:.3f} s", start)


def _container(text: str | None, duration_s: float, settings: TimeSettings) -> Clock | None:
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text.strip().replace("Z", "+00:00"))
    except ValueError:
        return Clock("container", text, None, "no time in ISO 8601")
    if settings.creation_time_timezone is not None:
        moment = moment.replace(tzinfo=ZoneInfo(settings.creation_time_timezone))
    return _dated("container", text, moment, settings.timezone, duration_s if settings.creation_time_is == "end" else 0.0)


def file_name_clock(name: str, settings: TimeSettings) -> Clock | None:
    """The time in a file's name, by the settings' pattern."""
    wrong: Clock | None = None
    for found in re.finditer(settings.filename_pattern, name):
        parts = found.groupdict()
        numbers = [parts[n] for n in ("year", "month", "day", "hour", "minute", "second")]
        try:
            moment = datetime(*(int(n) for n in numbers))  # type: ignore[arg-type]
            fraction = float(f"0.{parts['fraction']}") if parts.get("fraction") else 0.0
        except (TypeError, ValueError):
            wrong = wrong or Clock("filename", found.group(0), None, "no date and time")
            continue
        return _dated("filename", found.group(0), moment, settings.timezone, -fraction)
    return wrong


def _dated(source: str, raw: str, moment: datetime, zone: str | None, back_s: float) -> Clock:
    """A clock that says `moment`, `back_s` seconds after the source's first moment."""
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        return Clock(source, raw, None, "the camera's clock was never set")
    utc = _utc(moment, zone)
    if utc is None:
        return Clock(source, raw, None, NO_ZONE)
    return Clock(source, raw, utc - round(back_s * 1e6))


def _utc(moment: datetime, zone: str | None) -> int | None:
    """UTC in microseconds since 1970; None for a time without a zone where the settings give none."""
    if moment.tzinfo is None:
        if zone is None:
            return None
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def _mtime(mtime_ns: int, back_s: float) -> Clock | None:
    if mtime_ns < 0:
        return None
    return Clock("mtime", _iso(mtime_ns // 1000), mtime_ns // 1000 - round(back_s * 1e6))


def _iso(time_us: int) -> str:
    return datetime.fromtimestamp(time_us / 1e6, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
