"""Whether the UTC of a video's telemetry runs like the film, and if not, how it runs.

A clip of a camera's ordinary mode runs like the film, though its receiver may jump to another time
and though each time stamp is off by some tenths of a second. A time lapse, a TimeWarp or a slow
motion doesn't: there the time stamps differ from the film by more with each step.
"""

from __future__ import annotations

import itertools
from bisect import bisect_left

import numpy as np
from numpy.typing import NDArray

from segpipe.telemetry.clean import FIRST_US, LAST_US
from segpipe.telemetry.stretches import mapped
from segpipe.telemetry.time_map import Rate
from segpipe.telemetry.track import NO_TIME, Float64, Int64

_BASELINE_S = 0.5
"""Time stamps nearer to each other than this say little about a rate."""
_JITTER_S, _JITTER = 0.1, 0.25
"""A step of UTC runs like the film if it differs by at most this and this share of its length."""
_RUN_STEPS, _RUN_S = 3, 1.5
"""So many steps on end that are all too long, or all too short, and together so many seconds off,
are another rate; jitter goes to and fro."""
_DRIFT_S = 1.0
_LITTLE_S = 2.0
"""Two time stamps that differ from the film by less are taken for a receiver's jump, not a rate:
the median is then at most half of it off."""
_STANDS_S = 2.0
_AGREE = 0.6
"""So large a share of the time stamps must rise, or they tell of no rate."""


def utc_of_fixes(utc_us: Int64, media_s: Float64) -> tuple[Int64, Rate]:
    """The UTC of all fixes of a film, int64 [N] in microseconds, and how it runs against the film.

    `utc_us` int64 [N] is what the telemetry says (NO_TIME where nothing), `media_s` float64 [N] the
    time of the fixes in the film. Where UTC runs like the film, all fixes get their media time
    after one start, the median over those that say their UTC, which a jump of the receiver doesn't
    move. Where it runs otherwise, UTC is interpolated between the time stamps. NO_TIME where
    neither tells.
    """
    nothing = np.full(len(utc_us), NO_TIME)
    said = utc_us != NO_TIME
    known = said & (utc_us >= FIRST_US) & (utc_us < LAST_US) & np.isfinite(media_s)
    if not known.any():
        unset = "the telemetry's clock was never set, so its times aren't used"
        return nothing, Rate(notes=(unset,) if said.any() else ())
    times_s, times_us = _stamps(media_s[known], utc_us[known])
    lasts_s = float(np.ptp(media_s[known]))
    if len(times_us) == 1 and known.sum() > 2 and lasts_s > _STANDS_S:
        said_text = "the telemetry's UTC stands still, so it isn't used"
        return nothing, Rate(notes=(said_text,))
    kind = _kind(times_s, times_us)
    if kind == "film":
        media_us = np.round(media_s * 1e6).astype(np.int64)
        start_us, notes = _start(media_us[known], utc_us[known])
        return np.asarray(media_us + start_us, np.int64), Rate(notes=notes)
    rising = _longest_rising(times_us)
    agree = len(rising) >= _AGREE * len(times_us)
    rate = mapped(times_s[rising], times_us[rising]) if kind == "rate" and agree else None
    if rate is None or rate.map is None or rate.start_us is None:
        return nothing, Rate(known=False, notes=(_contradiction(times_s, times_us),))
    elapsed_s = rate.map.elapsed_at(media_s)
    timed = np.isfinite(elapsed_s)
    later_us = np.round(np.where(timed, elapsed_s, 0.0) * 1e6).astype(np.int64)
    return np.where(timed, rate.start_us + later_us, NO_TIME), rate


def _stamps(media_s: Float64, utc_us: Int64) -> tuple[Float64, Int64]:
    """The time stamps to judge by, in the film's order: those that repeat the one before (receivers
    that tell whole seconds) and those that lie nearer than _BASELINE_S to it left out."""
    order = np.argsort(media_s, kind="stable")
    media_s, utc_us = media_s[order], utc_us[order]
    fresh = np.append(True, np.diff(utc_us) != 0)
    media_s, utc_us = media_s[fresh], utc_us[fresh]
    places: list[int] = []
    last_s = -np.inf
    for i, time_s in enumerate(media_s.tolist()):
        if time_s - last_s >= _BASELINE_S - 1e-6:
            places.append(i)
            last_s = time_s
    return media_s[places], utc_us[places]


def _kind(media_s: Float64, utc_us: Int64) -> str:
    """`film`: UTC runs like the film; `rate`: it runs otherwise; `unclear`."""
    step_s, utc_s = np.diff(media_s), np.diff(utc_us) / 1e6
    excess_s = utc_s - step_s
    alike = np.abs(excess_s) <= _JITTER * step_s + _JITTER_S
    sense = np.where(alike, 0, np.where(utc_s <= 0, 2, np.sign(excess_s))).astype(np.int64)
    if _has_run(sense, excess_s) or _one_rate(sense, utc_s / step_s):
        return "rate"
    off_s = (utc_us - utc_us[0]) / 1e6 - (media_s - media_s[0])
    if alike.all() and len(off_s) >= 6:
        third = len(off_s) // 3
        drift_s = float(np.median(off_s[-third:]) - np.median(off_s[:third]))
        return "rate" if abs(drift_s) > _DRIFT_S else "film"
    if len(off_s) == 1 or np.ptp(off_s) <= _LITTLE_S or alike.mean() >= 0.5:
        return "film"
    near = np.abs(off_s - np.median(off_s)) <= _RUN_S
    return "film" if len(off_s) >= 6 and near.mean() >= 0.6 else "unclear"


def _has_run(sense: Int64, excess_s: Float64) -> bool:
    place = 0
    for which, group in itertools.groupby(sense.tolist()):
        count = len(list(group))
        off_s = abs(float(excess_s[place : place + count].sum()))
        if which in {-1, 1} and count >= _RUN_STEPS and off_s >= _RUN_S:
            return True
        place += count
    return False


def _one_rate(sense: Int64, pace: Float64) -> bool:
    """Whether few steps, but all of them, run at about one rate that isn't the film's."""
    same = len(sense) >= 2 and abs(int(sense[0])) == 1 and bool((sense == sense[0]).all())
    return same and float(pace.max() / pace.min()) <= 1.5


def _start(media_us: Int64, utc_us: Int64) -> tuple[int, tuple[str, ...]]:
    """The UTC of the first frame: the median. Where the receiver jumped and no time has most of the
    time stamps, the median over the larger part; of equal ones the later."""
    start_us = utc_us - media_us
    middle = int(np.median(start_us))
    near = np.abs(start_us - middle) <= _LITTLE_S * 1e6
    if near.mean() <= 0.5:
        order = np.argsort(start_us, kind="stable")
        part = np.empty(len(order), np.int64)
        part[order] = np.append(0, np.cumsum(np.diff(start_us[order]) > _LITTLE_S * 1e6))
        counts = np.bincount(part)
        last = int(np.flatnonzero(counts[part] == counts.max())[-1])
        middle = int(np.median(start_us[part == part[last]]))
        near = np.abs(start_us - middle) <= _LITTLE_S * 1e6
    if near.all():
        return middle, ()
    furthest_s = float(np.abs(start_us - middle).max()) / 1e6
    said = f"{int((~near).sum())} of {len(near)} time stamps of the telemetry are up to"
    return middle, (f"{said} {furthest_s:.1f} s off the others and aren't used",)


def _longest_rising(values: Int64) -> NDArray[np.int64]:
    """The places of the longest strictly rising chain of values."""
    tails: list[int] = []
    ends: list[int] = []
    before = np.full(len(values), -1)
    for i, value in enumerate(values.tolist()):
        place = bisect_left(tails, value)
        before[i] = ends[place - 1] if place else -1
        tails[place : place + 1] = [value]
        ends[place : place + 1] = [i]
    chain = [ends[-1]]
    while before[chain[-1]] >= 0:
        chain.append(int(before[chain[-1]]))
    return np.array(chain[::-1], np.int64)


def _contradiction(media_s: Float64, utc_us: Int64) -> str:
    film_s, utc_s = float(np.ptp(media_s)), (int(utc_us[-1]) - int(utc_us[0])) / 1e6
    return (
        f"in {film_s:.1f} s of film the telemetry's UTC goes on by {utc_s:.1f} s, at no rate "
        "that its "
        f"{len(utc_us)} time stamps agree on (a time lapse, or a clock that was set)"
    )
