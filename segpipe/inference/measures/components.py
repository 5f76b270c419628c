"""Connected components of each class in each region, from the runs of a label map.

Runs of equal labels are joined with those that they touch in the row above (8 neighbours) by
union-find, as in the run-based algorithm of He, Chao and Suzuki (2008): the work grows with the
runs, not with the pixels and the classes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from segpipe.core.types import UInt8
from segpipe.inference.measures.regions import RegionMap


@dataclass(frozen=True, slots=True)
class Components:
    """The components of each region and class, int64 [R, C]: how many there are (`count`), and of
    the largest one its pixels (`largest`) and its box (`box` [R, C, 4]: x_min, y_min, x_max, y_max,
    inclusive, in pixels; -1 where there is none). Of components of equal size the one whose first
    pixel comes first, row by row, is the largest."""

    count: NDArray[np.int64]
    largest: NDArray[np.int64]
    box: NDArray[np.int64]


def components(labels: UInt8, regions: RegionMap, classes: int) -> Components:
    """The components of `labels` uint8 [H, W]; labels of VOID count nowhere."""
    count = np.zeros((len(regions.names), classes), np.int64)
    largest = np.zeros_like(count)
    box = np.full((*count.shape, 4), -1, np.int64)
    runs = _runs(np.ascontiguousarray(labels), regions.atoms, classes)
    _count(runs, regions.membership, count, largest, box)
    return Components(count, largest, box)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _runs(labels, atoms, classes):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Row, first and last column (inclusive), class and atom of each run."""
    height, width = labels.shape
    capacity = 1024
    found = np.empty((capacity, 5), np.int32)
    n = 0
    for y in range(height):
        start = 0
        for x in range(1, width + 1):
            if x == width or labels[y, x] != labels[y, start] or atoms[y, x] != atoms[y, start]:
                if labels[y, start] < classes and atoms[y, start] > 0:
                    if n == capacity:
                        capacity *= 2
                        more = np.empty((capacity, 5), np.int32)
                        more[:n] = found
                        found = more
                    found[n, 0], found[n, 1], found[n, 2] = y, start, x - 1
                    found[n, 3], found[n, 4] = labels[y, start], atoms[y, start]
                    n += 1
                start = x
    return found[:n]


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _count(runs, membership, count, largest, box):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    n = len(runs)
    parent = np.empty(n, np.int64)
    size = np.empty(n, np.int64)
    mine = np.empty(n, np.int64)
    top_of = np.empty(count.shape[1], np.int64)
    for region in range(membership.shape[0]):
        m = 0
        for i in range(n):
            if membership[region, runs[i, 4]]:
                mine[m] = i
                parent[m] = m
                size[m] = runs[i, 2] - runs[i, 1] + 1
                m += 1
        _join(runs, mine[:m], parent)
        for i in range(m):
            top = _find(parent, i)
            if top != i:
                size[top] += size[i]
        for i in range(m):
            # The first run of its component, so that the first of equals stays the largest
            if parent[i] == i:
                k = runs[mine[i], 3]
                count[region, k] += 1
                if size[i] > largest[region, k]:
                    largest[region, k], top_of[k] = size[i], i
        for i in range(m):
            k = runs[mine[i], 3]
            if _find(parent, i) == top_of[k]:
                _extend(box[region, k], runs[mine[i]])


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _extend(box, run):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Let a box (x_min, y_min, x_max, y_max; -1: empty) hold a run."""
    y, start, stop = run[0], run[1], run[2]
    if box[0] < 0:
        box[0], box[1], box[2], box[3] = start, y, stop, y
    else:
        box[0], box[2] = min(box[0], start), max(box[2], stop)
        box[1], box[3] = min(box[1], y), max(box[3], y)


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _join(runs, mine, parent):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Union of runs of a class that touch: neighbours in a row (cut by a region's border), and rows
    above each other."""
    m = len(mine)
    above = 0  # the first run of the row above that can still touch
    for i in range(m):
        y, start, stop, k = runs[mine[i], 0], runs[mine[i], 1], runs[mine[i], 2], runs[mine[i], 3]
        if (
            i
            and runs[mine[i - 1], 0] == y
            and runs[mine[i - 1], 2] == start - 1
            and runs[mine[i - 1], 3] == k
        ):
            _union(parent, i - 1, i)
        while above < i and (
            runs[mine[above], 0] < y - 1
            or (runs[mine[above], 0] == y - 1 and runs[mine[above], 2] < start - 1)
        ):
            above += 1
        j = above
        while j < i and runs[mine[j], 0] == y - 1 and runs[mine[j], 1] <= stop + 1:
            if runs[mine[j], 3] == k:
                _union(parent, j, i)
            j += 1


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _union(parent, a, b):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    a, b = _find(parent, a), _find(parent, b)
    if a < b:
        parent[b] = a
    elif b < a:
        parent[a] = b


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _find(parent, i):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    while parent[i] != i:
        parent[i] = parent[parent[i]]
        i = parent[i]
    return i
