"""Which clock of a source counts: of one video, or of the images of a folder together."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from segpipe.core.config.time_and_place import TimeSettings
from segpipe.telemetry.metadata import Clock

AGREE_S = 1.5
"""A clock of whole seconds and one that counts fractions agree where they are no further apart."""
_ALIKE_S = 1.0
"""Fractions move a clock by so much against whole seconds: differences nearer to each other are of
two clocks that go alike."""
_NOT_SHIFTED = {"start", "gps"}
Chosen = tuple[int | None, str | None, float]
Times = dict[str, tuple[Clock, int]]


def choose(clocks: Iterable[Clock], settings: TimeSettings) -> Chosen:
    """The UTC time in microseconds, the clock's name, and the seconds that were added to it; None
    where there is no clock.

    The first of the settings' order that is there and usable; but a later one that counts fractions
    of a second where the first counts whole seconds and the two agree. Neither GPS nor an explicit
    start is shifted by `offset_s`.
    """
    return choose_together([tuple(clocks)], settings)[0]


def choose_together(images: Sequence[Iterable[Clock]], settings: TimeSettings) -> list[Chosen]:
    """What `choose` says, for each of the images of a folder. Whether two clocks agree is judged
    over all images at once, so that a burst isn't timed by one clock here and by another there."""
    usable = [_usable(clocks, settings) for clocks in images]
    apart_us: dict[tuple[str, str], dict[int, int]] = defaultdict(dict)
    for i, times in enumerate(usable):
        for coarse, fine in _pairs(times):
            apart_us[coarse, fine][i] = times[fine][1] - times[coarse][1]
    agreed = {pair: _agreed(apart) for pair, apart in apart_us.items()}
    return [_chosen(i, times, agreed, settings) for i, times in enumerate(usable)]


def _usable(clocks: Iterable[Clock], settings: TimeSettings) -> Times:
    """The clocks with a time, the most trusted first, and their shifted times in microseconds."""
    found = {c.source: c for c in clocks if c.utc_us is not None}
    ordered = [found[name] for name in settings.order if name in found]
    return {
        c.source: (c, (c.utc_us or 0) + round(_shift_s(c.source, settings) * 1e6)) for c in ordered
    }


def _pairs(times: Times) -> list[tuple[str, str]]:
    """The first clock and each later one that may be better for its fractions."""
    names = list(times)
    if not names or names[0] in {"start", "mtime"} or times[names[0]][0].fine:
        return []
    return [(names[0], name) for name in names[1:] if times[name][0].fine]


def _agreed(apart_us: dict[int, int]) -> set[int]:
    """The images, by number, at which two clocks agree: those of which the clocks go alike
    together, by their median."""
    numbers = sorted(apart_us, key=lambda i: apart_us[i])
    apart = np.array([apart_us[i] for i in numbers], np.int64)
    parts = np.split(np.arange(len(apart)), np.flatnonzero(np.diff(apart) > _ALIKE_S * 1e6) + 1)
    near = [part for part in parts if abs(np.median(apart[part])) <= AGREE_S * 1e6]
    return {numbers[k] for part in near for k in part}


def _chosen(
    i: int, times: Times, agreed: dict[tuple[str, str], set[int]], settings: TimeSettings
) -> Chosen:
    if not times:
        return None, None, 0.0
    finer = (fine for coarse, fine in _pairs(times) if i in agreed[coarse, fine])
    name = next(finer, next(iter(times)))
    return times[name][1], name, _shift_s(name, settings)


def _shift_s(name: str, settings: TimeSettings) -> float:
    return 0.0 if name in _NOT_SHIFTED else settings.offset_s
