"""The order and times of a video's frames as its container stores them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from segpipe.core.errors import SourceError
from segpipe.core.text import counted
from segpipe.sources.video.scan import Scan
from segpipe.sources.video.unwrapped import offsets_of

_UNTIMED_SHARE = 0.02
"""Of the packets; with fewer, only those without a time are lost, and a note counts them."""


@dataclass(frozen=True)
class Order:
    """Times of a video's frames in the order of showing, int64 [N], PTS and DTS of its key packets,
    int64 [K, 2], both in units of the time base; the rest as in PacketIndex."""

    pts: NDArray[np.int64]
    keys: NDArray[np.int64]
    parts: tuple[int, ...] = (0,)
    names: NDArray[np.int64] | None = None
    key_names: NDArray[np.int64] | None = None
    by_order: bool = False
    before: int = 0
    missing: str = ""
    edits: bool = True
    note: str = ""


def stored_order(found: Scan, time_base: Fraction) -> Order:
    """By the times that the container stores. Raises SourceError where it holds no frame."""
    offsets = offsets_of(found.packets, time_base)
    named = [
        (p, p.name + o) for p, o in zip(found.packets, offsets, strict=True) if p.name is not None
    ]
    shown = [time for p, time in named if not p.hidden]
    keys = [
        (time, time if p.dts is None else p.dts + time - (p.name or 0))
        for p, time in named
        if p.key
    ]
    if not shown or not keys:
        said = f"holds no {'frames' if not shown else 'key frame, so nothing can be decoded'}"
        raise SourceError(found.stopped or said, found.transient)
    pts = np.sort(np.array(shown, np.int64))
    key_array = np.array(sorted(keys), np.int64)
    before = int(np.searchsorted(pts, key_array[0, 0]))
    if before == len(pts):
        raise SourceError("holds no frame that can be decoded: all come before the first key frame")
    untimed = len(found.packets) - len(named)
    packets = counted(len(found.packets), "packet")
    note = f"no time for {untimed} of {packets}: frames without a time are not read"
    return Order(
        pts[before:], key_array, tuple(dict.fromkeys(offsets)), note=note if untimed else ""
    )


def lacks_times(found: Scan, reorders: bool) -> bool:
    """Whether packets have no presentation time, where no decoding time can stand in its place."""
    lacking = sum(1 for p in found.packets if p.pts is None and (reorders or p.dts is None))
    return lacking > _UNTIMED_SHARE * len(found.packets)


def may_be_mistimed(found: Scan, reorders: bool) -> bool:
    """Whether the times follow the order of coding, while the codec changes that order."""
    times = [p.pts for p in found.packets]
    return reorders and all(
        a is not None and b is not None and a < b for a, b in itertools.pairwise(times)
    )
