"""Positions between the fixes of a track."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.core.types import Position
from segpipe.telemetry.clean import steps_m
from segpipe.telemetry.track import ARRAYS, LOCATION, NO_TIME, Float64, Int64, Track

_ON_A_FIX_S = 1e-6
"""Times nearer than this to a fix are the fix's: times are stored in microseconds."""


@dataclass(frozen=True)
class Positions:
    """Positions at many times: arrays [N], NaN where something isn't known; where there is no
    position all are NaN."""

    source: str
    latitude: Float64
    longitude: Float64
    altitude_m: Float64
    speed_mps: Float64
    heading_deg: Float64
    accuracy_m: Float64
    odometer_m: Float64

    def __len__(self) -> int:
        return len(self.latitude)

    def position_at(self, i: int) -> Position | None:
        """The position at the i-th time, None where there is none."""
        if np.isnan(self.latitude[i]):
            return None
        names = ("altitude_m", "speed_mps", "heading_deg", "accuracy_m", "odometer_m")
        values = {name: float(getattr(self, name)[i]) for name in names}
        known = {name: None if np.isnan(value) else value for name, value in values.items()}
        return Position(float(self.latitude[i]), float(self.longitude[i]), self.source, **known)


def odometer(track: Track, max_gap_s: float) -> Float64:
    """Metres along a cleaned track since its first fix, float64 [N]; steps over gaps longer than
    `max_gap_s` seconds count 0."""
    if not len(track):
        return np.zeros(0)
    return np.insert(
        np.cumsum(np.where(np.diff(track.seconds()) > max_gap_s, 0.0, steps_m(track))), 0, 0.0
    )


def length_m(track: Track | None) -> float | None:
    """The length of a cleaned track in metres, gaps included; None without a track."""
    return None if track is None or not len(track) else float(steps_m(track).sum())


def positions(
    track: Track, *, max_gap_s: float, times_us: Int64 | None = None, media_s: Float64 | None = None
) -> Positions:
    """Interpolate a cleaned track at UTC times (`times_us` int64 [N], microseconds since 1970) or
    at media times (`media_s` float64 [N], seconds since the first frame); give one of the two.

    Linear between neighbouring fixes, the heading along the shorter arc; unknown where either
    neighbour doesn't know it. On a fix it is that fix. There is no position before the first fix,
    after the last one, between fixes more than `max_gap_s` seconds apart, or at an unknown time
    (NO_TIME, NaN). A track that is one place for the whole video has it at all times, without
    speed, heading or way.
    """
    if (times_us is None) == (media_s is None):
        raise ValueError("give either times_us or media_s")
    if track.source == LOCATION:
        return _everywhere(track, len(times_us if times_us is not None else media_s))  # type: ignore[arg-type]
    metres = odometer(track, max_gap_s)
    if times_us is not None:
        placed = np.flatnonzero(track.time_us != NO_TIME)
        origin = track.time_us[placed[0]] if len(placed) else 0
        knots = (track.time_us[placed] - origin) / 1e6
        wanted = np.asarray(times_us, np.int64)
        at = np.where(
            wanted == NO_TIME, np.nan, (np.where(wanted == NO_TIME, origin, wanted) - origin) / 1e6
        )
    else:
        placed = np.flatnonzero(np.isfinite(track.media_s))
        knots, at = track.media_s[placed], np.asarray(media_s, np.float64)
    left, weight, inside = _between(knots, at, max_gap_s)
    return _blend(track.take(placed), metres[placed], left, weight, inside)


def _everywhere(track: Track, count: int) -> Positions:
    same = {
        n: np.repeat(getattr(track, n), count)
        for n in ("latitude", "longitude", "altitude_m", "accuracy_m")
    }
    unknown = np.full(count, np.nan)
    return Positions(
        track.source, **same, speed_mps=unknown, heading_deg=unknown, odometer_m=unknown
    )


def merged(first: Track, second: Track, max_gap_s: float) -> Track:
    """The first track, with the fixes of the second where the first gives no position. A track of
    the video's own time is whole."""
    if np.isfinite(first.media_s).all() or (second.time_us == NO_TIME).any():
        return first
    missing = np.isnan(positions(first, max_gap_s=max_gap_s, times_us=second.time_us).latitude)
    if not missing.any():
        return first
    more = second.take(np.flatnonzero(missing))
    order = np.argsort(np.concatenate((first.time_us, more.time_us)), kind="stable")
    columns: dict[str, Any] = {
        n: np.concatenate((getattr(first, n), getattr(more, n)))[order] for n in ARRAYS
    }
    columns["media_s"] = np.full(len(order), np.nan)
    counts = {
        k: first.dropped.get(k, 0) + second.dropped.get(k, 0)
        for k in {**first.dropped, **second.dropped}
    }
    return replace(first, source=f"{first.source}, {second.source}", dropped=counts, **columns)


def _between(
    knots: Float64, at: Float64, max_gap_s: float
) -> tuple[Int64, Float64, NDArray[np.bool_]]:
    """For each time the fix at or before it, how far it is to the next (0 to 1), and whether it has
    a position at all."""
    count = len(knots)
    if not count:
        return np.zeros(len(at), np.int64), np.zeros(len(at)), np.zeros(len(at), np.bool_)
    after_last = np.searchsorted(knots, at + _ON_A_FIX_S, side="right") - 1
    left = after_last.clip(0, count - 1)
    right = (left + 1).clip(0, count - 1)
    on_fix = np.abs(at - knots[left]) <= _ON_A_FIX_S
    span = knots[right] - knots[left]
    weight = np.divide(at - knots[left], span, out=np.zeros(len(at)), where=(span > 0) & ~on_fix)
    between = (after_last >= 0) & (right > left) & (span <= max_gap_s) & np.isfinite(at)
    return left, np.where(on_fix, 0.0, weight), on_fix | between


def _blend(
    track: Track, metres: Float64, left: Int64, weight: Float64, inside: NDArray[np.bool_]
) -> Positions:
    def linear(values: Float64) -> Float64:
        found = np.full(len(left), np.nan)
        i, w = left[inside], weight[inside]
        # On a fix its neighbour must not count, not even as NaN times 0.
        step = np.where(w > 0, values[np.minimum(i + 1, len(values) - 1)] - values[i], 0.0)
        found[inside] = values[i] + w * step
        return found

    def circular(values: Float64, period_from: float) -> Float64:
        """Along the shorter way round, in [period_from, period_from + 360); a value of the track
        itself is left as it is."""
        known = np.isfinite(values)
        unwrapped = values.copy()
        unwrapped[known] = np.unwrap(values[known], period=360.0)
        found = (linear(unwrapped) - period_from) % 360.0 + period_from
        own = inside & (weight == 0)
        found[own] = values[left[own]]
        return found

    return Positions(
        track.source,
        latitude=linear(track.latitude),
        longitude=circular(track.longitude, -180.0),
        altitude_m=linear(track.altitude_m),
        speed_mps=linear(track.speed_mps),
        heading_deg=circular(track.heading_deg, 0.0),
        accuracy_m=linear(track.accuracy_m),
        odometer_m=linear(metres),
    )
