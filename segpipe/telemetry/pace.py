"""How fast a track goes by, by its own speeds: the fixes' distances against the speeds they
state."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segpipe.telemetry.clean import geod
from segpipe.telemetry.track import Float64, Int64, Track

_LEAST_S, _MOST_S = 1.0, 5.0
"""Distances are taken over a sixth of the track within these bounds, so that rounding and noise
count little."""
_MOVING_M, _MOVING_MPS = 5.0, 0.5
"""Shorter or slower than this, distances are the receiver's noise."""
_LEAST = 3
_SPREAD = 1.3
"""Half of the ratios lie within this factor where one factor explains them."""


@dataclass(frozen=True)
class Ratio:
    """The median of stated speed over speed from positions, its relative error, and whether most
    pairs of fixes agree on it."""

    value: float
    error: float
    agreed: bool


def stated_over_moved(track: Track, seconds: Float64, max_gap_s: float) -> Ratio:
    """Compare a track's stated speeds with those that follow from its positions and `seconds`,
    float64 [N], rising. The value is NaN with fewer than three pairs of fixes that move."""
    if len(track) < _LEAST:
        return Ratio(np.nan, np.nan, False)
    over_s = float(np.clip(np.ptp(seconds) / 6, _LEAST_S, _MOST_S))
    after = np.searchsorted(seconds, seconds + over_s - 1e-6)
    first = np.flatnonzero(after < len(seconds))
    second = after[first]
    lon, lat = track.longitude, track.latitude
    metres = np.asarray(geod().inv(lon[first], lat[first], lon[second], lat[second])[2])
    took_s = seconds[second] - seconds[first]
    stated = _stated_m(track.speed_mps, seconds, first, second) / took_s
    moved = metres / took_s
    with np.errstate(invalid="ignore"):
        moving = (metres >= _MOVING_M) & (moved >= _MOVING_MPS)
        fit = moving & (stated > 0) & (took_s <= max_gap_s)
    ratios = stated[fit] / moved[fit]
    if len(ratios) < _LEAST:
        return Ratio(np.nan, np.nan, False)
    low, middle, high = np.quantile(ratios, (0.25, 0.5, 0.75))
    error = float(np.log(high / low)) / np.sqrt(len(ratios))
    return Ratio(float(middle), error, bool(high <= low * _SPREAD))


def _stated_m(speed_mps: Float64, seconds: Float64, first: Int64, second: Int64) -> Float64:
    """The way between fixes by the stated speeds, NaN where one of those between isn't stated."""
    steps_m = (speed_mps[1:] + speed_mps[:-1]) / 2 * np.diff(seconds)
    missing = np.append(0, np.cumsum(np.isnan(steps_m)))
    way_m = np.append(0.0, np.cumsum(np.nan_to_num(steps_m)))
    whole = missing[second] == missing[first]
    return np.where(whole, way_m[second] - way_m[first], np.nan)
