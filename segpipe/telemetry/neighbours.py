"""Which reading of a local time that came twice fits the clips or images around it."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

SURE = 1.0
"""How much more the other reading must cost: it leaves gaps that are e times as long, or more of
them."""
_WINDOW_US = 3 * 3_600_000_000
_OVERLAP_S = 5.0
"""Clips of one camera may overlap by so much."""
_CLASH = 10.0
"""Readings that cost so much more let clips overlap, or leave the order of their names."""
_MOST_GROUPS = 8
_DIGITS = re.compile(r"\d+")
_NEVER = 1e9


@dataclass(frozen=True, slots=True)
class Span:
    """A clip, or an image (of no duration): its name without the time in it, its start in
    microseconds since 1970 by the first reading of its clock, and by the second where the local
    time came twice."""

    name: str
    start_us: int
    other_us: int | None = None
    duration_s: float = 0.0

    def begin_us(self, second: bool) -> int:
        """The start by one of the readings."""
        return self.other_us if second and self.other_us is not None else self.start_us


@dataclass(frozen=True, slots=True)
class Choice:
    """Whether the `second` reading is right, whether that is `sure`, and what shows it (`why`)."""

    second: bool
    sure: bool
    why: str


def settle(spans: Sequence[Span], gap_s: float) -> dict[int, Choice]:
    """The choice for each span that has two readings, by its place in `spans`, which are of one
    camera.

    Right is what leaves the fewest and shortest gaps, `gap_s` seconds being a short one, and lets
    no clips overlap. Where names count up, they give the order; else any order is possible.
    """
    found: dict[int, Choice] = {}
    for cluster in _clusters(spans):
        first = min(spans[i].start_us for i in cluster) - _WINDOW_US
        last = max(spans[i].begin_us(True) for i in cluster) + _WINDOW_US
        around = [
            i for i, s in enumerate(spans) if s.other_us is None and first <= s.start_us <= last
        ]
        found |= _settled(spans, cluster, around, max(gap_s, 1.0))
    return found


def _clusters(spans: Sequence[Span]) -> list[list[int]]:
    """The places of spans with two readings, those of one night together."""
    places = sorted(
        (i for i, s in enumerate(spans) if s.other_us is not None), key=lambda i: spans[i].start_us
    )
    found: list[list[int]] = []
    for i in places:
        if found and spans[i].start_us - spans[found[-1][-1]].start_us <= _WINDOW_US:
            found[-1].append(i)
        else:
            found.append([i])
    return found


def _settled(
    spans: Sequence[Span], cluster: list[int], around: list[int], gap_s: float
) -> dict[int, Choice]:
    members = [*cluster, *around]
    order = _counted([spans[i].name for i in members])
    if order is not None:
        ordered = [members[i] for i in order]
        groups = _groups(spans, [i for i in ordered if spans[i].other_us is not None], gap_s, True)
        costs = _costs(spans, ordered, groups, gap_s, True)
        if min(costs.values()) < _NEVER:
            return _choices(groups, costs, "the numbers in the names")
    groups = _groups(spans, cluster, gap_s, False)
    return _choices(groups, _costs(spans, members, groups, gap_s, False), "the clips around it")


def _counted(names: list[str]) -> list[int] | None:
    """The order by the one number in which names differ, as places; None where they differ
    otherwise or don't count."""
    if len({_DIGITS.sub("#", n) for n in names}) != 1 or len(names) < 2:
        return None
    columns = list(zip(*([int(d) for d in _DIGITS.findall(n)] for n in names), strict=True))
    counting = [c for c in columns if len(set(c)) == len(names)]
    if len(counting) != 1:
        return None
    return sorted(range(len(names)), key=lambda i: counting[0][i])


def _groups(
    spans: Sequence[Span], places: list[int], gap_s: float, ordered: bool
) -> list[list[int]]:
    """Spans that follow each other by local time, at most `gap_s` apart: they are of the same
    hour."""
    found: list[list[int]] = []
    for i in places:
        before = found[-1:] if ordered else found
        gaps = [(_gap_s(spans[group[-1]], spans[i].start_us), group) for group in before]
        near = [(abs(gap), group) for gap, group in gaps if -_OVERLAP_S <= gap <= gap_s]
        if near:
            min(near, key=lambda pair: pair[0])[1].append(i)
        else:
            found.append([i])
    return found


def _gap_s(before: Span, start_us: int) -> float:
    return (start_us - before.start_us) / 1e6 - before.duration_s


def _costs(
    spans: Sequence[Span], members: list[int], groups: list[list[int]], gap_s: float, ordered: bool
) -> dict[tuple[bool, ...], float]:
    """What each possible choice of readings, one for each group, costs."""
    found = {}
    for seconds in _possible(len(groups), ordered):
        second = {i for group, chosen in zip(groups, seconds, strict=True) if chosen for i in group}
        times = [(spans[i].begin_us(i in second), spans[i].duration_s) for i in members]
        found[seconds] = _cost(times if ordered else sorted(times), gap_s)
    return found


def _possible(count: int, ordered: bool) -> Iterable[tuple[bool, ...]]:
    """All choices; of too many those of one drive: in a known order the first hour, then the
    second; else the late ones of the hour were first."""
    if ordered:
        return [(False,) * (count - k) + (True,) * k for k in range(count + 1)]
    if count <= _MOST_GROUPS:
        return itertools.product((False, True), repeat=count)
    return [(True,) * k + (False,) * (count - k) for k in range(count + 1)]


def _cost(times: list[tuple[int, float]], gap_s: float) -> float:
    """The gaps between clips (start, duration) that follow each other, long ones less than in
    proportion, and overlaps."""
    cost, start_us, end_us = 0.0, times[0][0], times[0][0]
    for i, (time_us, duration_s) in enumerate(times):
        if i:
            gap = (time_us - end_us) / 1e6
            cost += math.log1p(max(0.0, gap) / gap_s) + max(0.0, -gap - _OVERLAP_S)
            cost += _NEVER if time_us < start_us else 0.0
        start_us, end_us = time_us, max(end_us, time_us + round(duration_s * 1e6))
    return cost


def _choices(
    groups: list[list[int]], costs: dict[tuple[bool, ...], float], why: str
) -> dict[int, Choice]:
    """The choice for each span of the groups, by what each combination of readings costs."""
    numbers = range(len(groups))
    first = [min(c for s, c in costs.items() if not s[g]) for g in numbers]
    second = [min(c for s, c in costs.items() if s[g]) for g in numbers]
    sure = [abs(first[g] - second[g]) >= SURE for g in numbers]
    right = [second[g] < first[g] for g in numbers]
    agree = [s for s in costs if all(not sure[g] or s[g] is right[g] for g in numbers)]
    # What nothing shows is the first reading, unless clips would overlap.
    least = min(costs.values())
    taken = min(agree or costs, key=lambda s: (costs[s] - least > _CLASH, sum(s), costs[s]))
    return {i: Choice(taken[g], sure[g], why) for g, group in enumerate(groups) for i in group}
