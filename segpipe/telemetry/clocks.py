"""The clocks of a source, and which of them says when its first moment was. A time without a zone
is never guessed as UTC."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np

from segpipe.core.config.time_and_place import TimeSettings
from segpipe.telemetry.container_clocks import creation_time_reading, creationdate_reading
from segpipe.telemetry.container_tags import ClockTags
from segpipe.telemetry.exif import ExifFacts
from segpipe.telemetry.file_names import file_name_reading
from segpipe.telemetry.local_hours import settle_by_clocks
from segpipe.telemetry.metadata import Clock
from segpipe.telemetry.readings import Reading, iso
from segpipe.telemetry.rollover import Moments, corrected_time
from segpipe.telemetry.track import NO_TIME, Track

NO_FIX = "the receiver had no fix"
_ZONES_APART, _CLOCK_ERROR = timedelta(minutes=15), timedelta(minutes=2)
"""All zones are multiples of the first from UTC; a clock that is further off GPS than the second
shows none."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def video_clocks(
    path: Path,
    mtime_ns: int,
    tags: ClockTags,
    duration_s: float,
    embedded: Track | None,
    settings: TimeSettings,
) -> tuple[Clock, ...]:
    """Every clock of a video, each as the UTC time of its first frame's moment. `duration_s`: how
    long the recording took."""
    found = [
        _gps_clock(embedded),
        *(r.clock(settings.timezone) for r in _readings(path, tags, duration_s, settings)),
    ]
    if settings.start is not None:
        found.append(
            Reading("start", settings.start.isoformat(), settings.start).clock(settings.timezone)
        )
    found.append(_mtime(mtime_ns, duration_s if settings.mtime_is == "end" else 0.0))
    return settle_by_clocks(tuple(c for c in found if c is not None))


def rough_times(path: Path, mtime_ns: int, tags: ClockTags, settings: TimeSettings) -> Moments:
    """The times of a video's clocks beside GPS, to within a day."""
    return _rough(_readings(path, tags, 0.0, settings), mtime_ns)


def image_clocks(
    path: Path, mtime_ns: int, exif: ExifFacts | None, settings: TimeSettings
) -> tuple[Clock, ...]:
    """Every clock of an image."""
    name = file_name_reading(path, settings)
    readings = [name] if name is not None else []
    own = _exif_reading(exif)
    rough = _rough([*readings, *([own] if own is not None else [])], mtime_ns)
    found: list[Clock | None] = []
    if exif is not None and exif.void:
        found.append(Clock("gps", "GPSStatus V", None, NO_FIX))
    if exif is not None and exif.gps_time_us is not None:
        gps_us, note = corrected_time(exif.gps_time_us, rough)
        moment = _EPOCH + timedelta(microseconds=gps_us)
        fine = gps_us % 1_000_000 != 0
        found.append(
            Reading("gps", iso(exif.gps_time_us), moment, fine=fine, note=note).clock(None)
        )
        own = _with_zone(own, moment) if settings.timezone is None else own
    readings += [own] if own is not None else []
    found = [*(r.clock(settings.timezone) for r in readings), *found, _mtime(mtime_ns, 0.0)]
    return settle_by_clocks(tuple(replace(c, file=path.name) for c in found if c is not None))


def _exif_reading(exif: ExifFacts | None) -> Reading | None:
    if exif is None or exif.moment is None:
        return None
    raw = exif.raw_time or str(exif.moment)
    return Reading("exif", raw, exif.moment, fine=re.search(r"\.\d", raw) is not None)


def _with_zone(exif: Reading | None, gps: datetime) -> Reading | None:
    """EXIF's time with the zone in which it is that of GPS, where it counts fractions and says no
    zone: GPS mostly counts whole seconds, and the images of a burst would all have one time."""
    if exif is None or exif.moment is None or exif.moment.tzinfo is not None or not exif.fine:
        return exif
    apart = exif.moment.replace(tzinfo=UTC) - gps
    offset = round(apart / _ZONES_APART) * _ZONES_APART
    if (
        not -timedelta(hours=12) <= offset <= timedelta(hours=14)
        or abs(apart - offset) > _CLOCK_ERROR
    ):
        return exif
    zone = timezone(offset)
    return replace(exif, moment=exif.moment.replace(tzinfo=zone), note=f"zone {zone} by GPS")


def _gps_clock(track: Track | None) -> Clock | None:
    """GPS time at the first frame: the median over the fixes, which single jumps of the camera's
    clock don't move; by the map where UTC doesn't run like the film."""
    if track is None:
        return None
    if not track.rate.known:
        return Clock("gps", "", None, "runs at no rate that is known against the film")
    known = (track.time_us != NO_TIME) & np.isfinite(track.media_s)
    if not known.any():
        return None
    start = track.rate.start_us
    if start is None:
        start = int(
            np.median(track.time_us[known] - np.round(track.media_s[known] * 1e6).astype(np.int64))
        )
    return Clock(
        "gps",
        f"{iso(int(track.time_us[known][0]))} at {track.media_s[known][0]:.3f} s",
        start,
        fine=True,
    )


def _readings(
    path: Path, tags: ClockTags, duration_s: float, settings: TimeSettings
) -> list[Reading]:
    """What a video's container, its streams and its name say."""
    found = [
        creationdate_reading(tags),
        creation_time_reading(tags, duration_s, settings),
        file_name_reading(path, settings),
    ]
    return [r for r in found if r is not None]


def _rough(readings: Iterable[Reading], mtime_ns: int) -> Moments:
    found = [(r.source, r.rough_us()) for r in readings]
    found.append(("mtime", mtime_ns // 1000 if mtime_ns >= 0 else None))
    return [(source, us) for source, us in found if us is not None]


def _mtime(mtime_ns: int, back_s: float) -> Clock | None:
    if mtime_ns < 0:
        return None
    return Clock("mtime", iso(mtime_ns // 1000), mtime_ns // 1000 - round(back_s * 1e6))
