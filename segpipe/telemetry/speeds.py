"""The unit of a track's speeds: as its columns name it, or as its positions show."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np

from segpipe.telemetry.pace import Ratio, stated_over_moved
from segpipe.telemetry.track import Track

UNITS = {
    "speed_mps": 1.0,
    "speed_kmh": 1 / 3.6,
    "speed_kn": 1852 / 3600,
    "speed_mph": 1609.344 / 3600,
}
"""Metres a second in the unit that a column is named after."""
_SPELLED = {
    "speed_mps": ("mps", "ms", "metrespersecond", "meterspersecond"),
    "speed_kmh": ("kmh", "kmph", "kph", "kmhr"),
    "speed_kn": ("knots", "knot", "kn", "kts", "kt"),
    "speed_mph": ("mph", "milesperhour"),
}
_ALONE = {"kmh", "kmph", "kph", "knots", "mph"}
"""Units that name a column of speeds by themselves; `ms` may be milliseconds."""
_SPEED = re.compile(r"(?:gps|ground|vehicle|2d|3d)*(?:speed|velocity|sog)(?:2d|3d)?(?:in)?([a-z]*)")
_GUESSED = {"km/h": 3.6, "knots": 3600 / 1852, "mph": 3600 / 1609.344}
_NEAR, _METRIC = math.log(1.07), math.log(1.25)
"""How near to a unit's factor the ratio has to be; and to 1, which is also how far a receiver's
noise leads."""
_MOVING_MPS = 2.0
_GAP_S = 30.0


def speed_column(name: str) -> str | None:
    """Which of UNITS a column's name says its speeds are in, such as `speed (km/h)`; None if
    none."""
    plain = re.sub(r"[^a-z0-9]", "", name.casefold())
    found = _SPEED.fullmatch(plain)
    unit = found.group(1) if found is not None else plain if plain in _ALONE else ""
    return next((key for key, spelled in _SPELLED.items() if unit in spelled), None)


def with_likely_unit(track: Track) -> Track:
    """A track whose speeds don't say their unit, in metres a second by what its positions say, with
    a note on what was changed or can't be checked.

    Speeds that are 3.6, 1.94 or 2.24 times those between the fixes are km/h, knots or mph. Those
    that are in no such relation, though always in the same, are left out: they are then derived.
    """
    order = np.argsort(track.seconds(), kind="stable")
    seconds = track.seconds()[order]
    rising = np.isfinite(seconds) & (np.diff(seconds, prepend=-np.inf) > 0)
    ratio = stated_over_moved(track.take(order[rising]), seconds[rising], _GAP_S)
    stated = track.speed_mps[np.isfinite(track.speed_mps)]
    if math.isnan(ratio.value):
        fast = len(stated) > 0 and float(stated.max()) >= _MOVING_MPS
        said = (
            "the unit of its speeds can't be checked (too few fixes move, or they are too far "
            "apart): taken for m/s"
        )
        return replace(track, notes=(*track.notes, said)) if fast else track
    away = abs(math.log(ratio.value))
    if away <= _METRIC or not ratio.agreed:
        said = (
            "the unit of its speeds can't be told, for they don't follow its positions: "
            "taken for m/s"
        )
        return track if away <= _METRIC else replace(track, notes=(*track.notes, said))
    return _converted(track, ratio)


def _converted(track: Track, ratio: Ratio) -> Track:
    times = f"{ratio.value:.3g} times those between its fixes"
    for unit, factor in _GUESSED.items():
        if abs(math.log(ratio.value / factor)) + ratio.error <= _NEAR:
            said = f"its speeds are {times}, so they are taken for {unit}"
            return replace(track, speed_mps=track.speed_mps / factor, notes=(*track.notes, said))
    said = f"its speeds are {times}, which is no unit's factor: speeds are derived from positions"
    unknown = np.full(len(track), np.nan)
    return replace(track, speed_mps=unknown, notes=(*track.notes, said))
