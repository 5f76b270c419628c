"""GPS dates that are 1024 weeks early: receivers count weeks in ten bits, and old ones begin
anew."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segpipe.telemetry.readings import iso
from segpipe.telemetry.track import NO_TIME, Int64, Track

_WEEKS_US = 1024 * 7 * 86_400_000_000
_NEAR_US = 40 * 3_600_000_000
"""A day of difference, and the 14 hours that a local time can be away from UTC."""

Moments = list[tuple[str, int]]
"""The clocks beside GPS: name, and UTC in microseconds since 1970 to within a day."""


def weeks_lost(gps_us: int, others: Moments) -> tuple[int, str]:
    """How many times 1024 weeks a GPS time lacks, and the clock that says so; (0, "") where none
    does, or where a clock that no copy changes agrees with GPS as it is."""
    if any(abs(us - gps_us) <= _NEAR_US for name, us in others if name != "mtime"):
        return 0, ""
    for name, us in others:
        for times in (1, 2):
            if abs(us - gps_us - times * _WEEKS_US) <= _NEAR_US:
                return times, name
    return 0, ""


def corrected_time(gps_us: int, others: Moments) -> tuple[int, str]:
    """A GPS time, and the note on its correction, empty where there is none."""
    times, name = weeks_lost(gps_us, others)
    return gps_us + times * _WEEKS_US, _note(times, name)


def corrected_track(track: Track | None, others: Moments) -> tuple[Track | None, str]:
    """A track out of a video, its times corrected by the video's other clocks, and the note."""
    known = _known(track)
    if track is None or known is None:
        return track, ""
    times, name = weeks_lost(int(np.median(known)), others)
    if not times:
        return track, ""
    return _shifted(track, times), f"track {track.source}: {_note(times, name)}"


def corrected_file(track: Track, footage_us: Int64) -> tuple[Track, str]:
    """A track of a file, its times corrected where that makes it one of the footage's time (int64
    [N], microseconds since 1970, NO_TIME where unknown), and the note."""
    known, wanted = _known(track), footage_us[footage_us != NO_TIME]
    if known is None or not len(wanted):
        return track, ""
    first, last = int(wanted.min()), int(wanted.max())
    for times in (0, 1, 2):
        shift = times * _WEEKS_US
        if known.min() + shift <= last and known.max() + shift >= first:
            break
    else:
        return track, ""
    if not times:
        return track, ""
    said = f"{_note(times, 'the footage')}; it began {iso(int(known.min()))}"
    return _shifted(track, times), f"track {track.source}: {said}"


def _known(track: Track | None) -> Int64 | None:
    found = track.time_us[track.time_us != NO_TIME] if track is not None else np.zeros(0, np.int64)
    return found if len(found) else None


def _shifted(track: Track, times: int) -> Track:
    shift_us = times * _WEEKS_US
    time_us = np.where(track.time_us == NO_TIME, NO_TIME, track.time_us + shift_us)
    start_us = None if track.rate.start_us is None else track.rate.start_us + shift_us
    return replace(track, time_us=time_us, rate=replace(track.rate, start_us=start_us))


def _note(times: int, name: str) -> str:
    if not times:
        return ""
    return (
        f"the GPS date was {times * 1024} weeks too early (GPS week rollover), corrected by {name}"
    )
