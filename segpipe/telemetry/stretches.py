"""The map from a film's time to UTC through the time stamps of its telemetry."""

from __future__ import annotations

import itertools

import numpy as np

from segpipe.telemetry.time_map import Rate, TimeMap
from segpipe.telemetry.track import Float64, Int64

_JUMP = 10.0
"""A lone step at so many times the pace of the steps beside it is a clock that was set."""
_STEADY, _OVERALL = 0.25, 0.05
_EVER_S = 1e6
"""A steady rate holds for the whole film, before the first and after the last time stamp too."""
_HOLE_S = 5.0
"""At a changing rate, time stamps further apart than this (and three usual steps) leave a hole."""


def mapped(media_s: Float64, utc_us: Int64) -> Rate | None:
    """The map through time stamps that rise, `media_s` float64 [K] and `utc_us` int64 [K]; None
    where they lie on both sides of a clock that was set, and neither side has most of them.

    At one steady rate UTC is known for the whole film; at a changing one only between time stamps
    that are near each other, and one step beyond the first and the last.
    """
    part = _largest_part(media_s, utc_us)
    if part.stop - part.start < max(3, len(media_s) / 2):
        return None
    lost = len(media_s) - (part.stop - part.start)
    media_s, utc_us = media_s[part], utc_us[part]
    elapsed_s = (utc_us - utc_us[0]) / 1e6
    pace = np.diff(elapsed_s) / np.diff(media_s)
    usual = float(np.median(pace))
    overall = float(elapsed_s[-1] / (media_s[-1] - media_s[0]))
    alike = float((np.abs(pace - usual) <= _STEADY * usual).mean())
    steady = alike >= 0.9 and abs(overall - usual) <= _OVERALL * usual
    usual_s = float(np.median(np.diff(media_s)))
    if steady:
        first, last, reach_s = overall, overall, _EVER_S
    else:
        first, last, reach_s = float(pace[0]), float(pace[-1]), 2 * usual_s
        media_s, elapsed_s = _with_holes(media_s, elapsed_s, max(_HOLE_S, 3 * usual_s))
    media_s = np.concatenate(([media_s[0] - reach_s], media_s, [media_s[-1] + reach_s]))
    ends = (elapsed_s[0] - first * reach_s, elapsed_s[-1] + last * reach_s)
    elapsed_s = np.concatenate(([ends[0]], elapsed_s, [ends[1]]))
    # Where the beginning of a film isn't known, its start is as if the first known pace held there.
    to_start_s = float(TimeMap(media_s, elapsed_s).elapsed_at(np.zeros(1))[0])
    if not np.isfinite(to_start_s):
        to_start_s = float(elapsed_s[0] - first * media_s[0])
    notes = (_note(pace, overall if steady else None), *_lost(lost))
    start_us = int(utc_us[0]) + round(to_start_s * 1e6)
    return Rate(TimeMap(media_s, elapsed_s - to_start_s), start_us, notes=notes)


def _largest_part(media_s: Float64, utc_us: Int64) -> slice:
    """Of the parts between steps that are jumps, the one with most time stamps; of equal ones the
    later."""
    pace = np.diff(utc_us) / 1e6 / np.diff(media_s)
    beside = np.maximum(np.append(0.0, pace[:-1]), np.append(pace[1:], 0.0))
    jumps = np.flatnonzero((pace > _JUMP * np.maximum(beside, 1.0)) & (len(pace) > 1))
    cuts = [0, *(int(j) + 1 for j in jumps), len(media_s)]
    parts = [slice(a, b) for a, b in itertools.pairwise(cuts)]
    return max(parts, key=lambda p: (p.stop - p.start, p.start))


def _with_holes(media_s: Float64, elapsed_s: Float64, longest_s: float) -> tuple[Float64, Float64]:
    """The map with an unknown entry in the middle of each step of more than `longest_s` seconds."""
    wide = np.flatnonzero(np.diff(media_s) > longest_s)
    middle = (media_s[wide] + media_s[wide + 1]) / 2
    return np.insert(media_s, wide + 1, middle), np.insert(elapsed_s, wide + 1, np.nan)


def _note(pace: Float64, steady: float | None) -> str:
    rate = _number(steady) if steady else f"{_number(pace.min())} to {_number(pace.max())}"
    return (
        f"UTC runs {rate} times as fast as the film, by the telemetry: times follow its time stamps"
    )


def _number(times: float) -> str:
    return f"{times:.3g}" if times < 100 else f"{times:.0f}"


def _lost(count: int) -> tuple[str, ...]:
    said = f"{count} time stamps of the telemetry lie before or after a jump of its clock"
    return (f"{said} and aren't used",) if count else ()
