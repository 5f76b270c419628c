"""What is wrong with a track goes, what follows from it is added: order, duplicates, wild fixes;
speed and heading."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from segpipe.runtime.isolation import heartbeat
from segpipe.telemetry.track import NO_TIME, Float64, Int64, Track

if TYPE_CHECKING:
    from pyproj import Geod

MIN_MOVING_MPS = 0.5
"""Slower than this, the direction between two fixes is the receiver's noise."""
LOOK_BACK = 50
FIRST_US, LAST_US = 347_155_200_000_000, 7_258_118_400_000_000
"""The years 1981 to 2199, in microseconds since 1970."""
BASELINE_S = 0.5
"""Speed and heading are taken over at least this long before and after a fix: between fixes a
twentieth of a second apart they would be the rounding of the coordinates."""


@functools.cache
def geod() -> Geod:
    """The ellipsoid of WGS 84."""
    from pyproj import Geod  # Here, for a run that finds nothing new needs none

    return Geod(ellps="WGS84")


def clean(
    track: Track, max_speed_mps: float, offset_s: float = 0.0, max_gap_s: float = 10.0
) -> Track:
    """Put a track in order and fill what it lacks.

    Fixes are sorted by time: `media_s` where all have it, else `time_us`. Dropped and counted in
    `dropped`: fixes without a time, impossible times and coordinates (0, 0 too: receivers write it
    for "unknown"), duplicates (the first of a time stays), and the fewest fixes that make a step
    faster than `max_speed_mps`. Fixes that came out of order are counted and stay. `offset_s` is
    added to `time_us`. Speed and heading are derived where they aren't known, never across a gap
    longer than `max_gap_s`.

    Speeds go by the time that passed: by UTC where the film of an embedded track runs at another
    rate (a time lapse). Where that rate isn't known, no fix is too fast and no speed is derived.
    """
    track = track.take(np.isfinite(track.seconds()), "without a time")
    track = track.take(_possible(track), "impossible coordinates")
    track = track.take(_credible(track), "impossible times")
    seconds = track.seconds()
    late = int((np.diff(seconds) < 0).sum())
    track = track.take(np.argsort(seconds, kind="stable"))
    if late:
        track = replace(track, dropped={**track.dropped, "out of order": late})
    track = track.take(np.diff(track.seconds(), prepend=-np.inf) > 0, "duplicates")
    if track.rate.known:
        track = track.take(_feasible(track, max_speed_mps), "impossible speed")
    timed = track.time_us != NO_TIME
    moved = np.where(timed, track.time_us + round(offset_s * 1e6), NO_TIME)
    known: dict[str, Any] = {
        name: _at_least_zero(getattr(track, name))
        for name in ("speed_mps", "heading_deg", "accuracy_m")
    }
    return _with_motion(replace(track, time_us=moved, **known), max_gap_s)


def steps_m(track: Track) -> Float64:
    """The distance from each fix to the next in metres, float64 [max(N - 1, 0)]."""
    if len(track) < 2:
        return np.zeros(0)
    return _inverse(track, np.arange(len(track) - 1), np.arange(1, len(track)))[1]


def _inverse(track: Track, first: Int64, second: Int64) -> tuple[Float64, Float64]:
    """Azimuth (degrees, 0 to 360) and distance (metres) from fixes to others."""
    lon, lat = track.longitude, track.latitude
    azimuth, _, metres = geod().inv(lon[first], lat[first], lon[second], lat[second])
    return np.asarray(azimuth, np.float64) % 360.0, np.asarray(metres, np.float64)


def _possible(track: Track) -> NDArray[np.bool_]:
    lat, lon = track.latitude, track.longitude
    with np.errstate(invalid="ignore"):
        inside = (np.abs(lat) <= 90) & (np.abs(lon) <= 180)
    return np.asarray(inside & ~((lat == 0) & (lon == 0)), np.bool_)


def _credible(track: Track) -> NDArray[np.bool_]:
    """Whether a fix's time can be true: not before GPS, and not in a year that a reader made up out
    of another unit."""
    return np.asarray(
        (track.time_us == NO_TIME) | ((track.time_us >= FIRST_US) & (track.time_us < LAST_US)),
        np.bool_,
    )


def _feasible(track: Track, max_speed_mps: float) -> NDArray[np.bool_]:
    """Which fixes make up the longest chain without a step faster than allowed, bool [N].

    A fix follows the best of the last LOOK_BACK fixes, or the best of all before those, that can be
    reached; so a wild fix is left out and not its neighbours, and a wild run of any length doesn't
    cost what comes after it.
    """
    count, seconds = len(track), track.real_seconds()
    fine = steps_m(track) <= max_speed_mps * np.diff(seconds)
    if fine.all():
        return np.ones(count, np.bool_)
    length, parent = np.ones(count, np.int64), np.full(count, -1)
    best_before = 0  # the end of the longest chain among the fixes before the window
    for i in range(1, count):
        heartbeat()
        start = max(i - LOOK_BACK, 0)
        if start and length[start - 1] > length[best_before]:
            best_before = start - 1
        top = max(length[start:i].max(), length[best_before])
        if fine[i - 1] and length[i - 1] == top:
            length[i], parent[i] = top + 1, i - 1
            continue
        window = np.arange(start, i)
        window = np.concatenate([[best_before], window]) if best_before < start else window
        metres = _inverse(track, window, np.full(len(window), i))[1]
        reached = window[metres <= max_speed_mps * (seconds[i] - seconds[window])]
        if len(reached):
            # Of equally long chains the one that ends latest.
            parent[i] = reached[len(reached) - 1 - np.argmax(length[reached][::-1])]
            length[i] = length[parent[i]] + 1
    keep = np.zeros(count, np.bool_)
    i = int(np.argmax(length))
    while i >= 0:
        keep[i], i = True, int(parent[i])
    return keep


def _with_motion(track: Track, max_gap_s: float) -> Track:
    """The track with speed and heading where they weren't known, by central differences between
    fixes at least BASELINE_S away."""
    if len(track) < 2:
        return track
    seconds, gap = track.real_seconds(), np.diff(track.seconds()) > max_gap_s
    before, after = _neighbours(seconds, gap)
    azimuth, metres = _inverse(track, before, after)
    span = seconds[after] - seconds[before]
    speed = np.divide(metres, span, out=np.full(len(track), np.nan), where=span > 0)
    known_speed = np.where(np.isnan(track.speed_mps), speed, track.speed_mps)
    beside_gap = np.append(gap, False) | np.insert(gap, 0, False)
    with np.errstate(invalid="ignore"):
        moving = (span > 0) & (np.minimum(speed, known_speed) >= MIN_MOVING_MPS)
    derived = np.where(moving & ~beside_gap, azimuth, np.nan)
    paced = _paced(track)
    filled: dict[str, Any] = {
        "speed_mps": np.where(
            np.isnan(track.speed_mps) & ~(paced[before] & paced[after]), np.nan, known_speed
        ),
        "heading_deg": np.where(np.isnan(track.heading_deg), derived, track.heading_deg % 360.0),
    }
    return replace(track, **filled)


def _paced(track: Track) -> NDArray[np.bool_]:
    """Beside which fixes it is known how fast time went, bool [N]."""
    if not track.rate.known:
        return np.zeros(len(track), np.bool_)
    return np.asarray((track.time_us != NO_TIME) | (track.rate.map is None), np.bool_)


def _at_least_zero(values: Float64) -> Float64:
    """Without negative values, which is how telephones write "unknown"."""
    return np.where(values >= 0, values, np.nan)


def _neighbours(seconds: Float64, gap: NDArray[np.bool_]) -> tuple[Int64, Int64]:
    """The fixes at least BASELINE_S before and after each fix, int64 [N] each, or the nearest to
    that on the same side of gaps."""
    place = np.arange(len(seconds))
    piece = np.insert(np.cumsum(gap), 0, 0)
    first, last = np.searchsorted(piece, piece), np.searchsorted(piece, piece, side="right") - 1
    before = np.searchsorted(seconds, seconds - BASELINE_S, side="right") - 1
    after = np.searchsorted(seconds, seconds + BASELINE_S, side="left")
    return np.minimum(np.maximum(before, first), place), np.maximum(np.minimum(after, last), place)
