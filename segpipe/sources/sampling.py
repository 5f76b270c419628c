"""Which frames of a video are wanted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segpipe.config import Sampling
from segpipe.sources.packets import PacketIndex


def select(index: PacketIndex, sampling: Sampling) -> NDArray[np.int64]:
    """Positions in the packet index that the sampling asks for: int64, sorted, each once."""
    if sampling.every_n:
        return np.arange(0, len(index.pts), sampling.every_n, dtype=np.int64)
    if sampling.keyframes:
        return index.key_indices()
    if sampling.per_second:
        return nearest_to_rate(index.times_s, sampling.per_second)
    return np.arange(len(index.pts), dtype=np.int64)


def nearest_to_rate(times_s: NDArray[np.float64], per_second: float) -> NDArray[np.int64]:
    """For each ideal time (the first frame's time, then steps of 1 / rate) the nearest frame; each frame at most once.

    Where the footage has fewer frames than asked for, all of them are taken, and none twice.
    """
    if len(times_s) == 1:
        return np.zeros(1, np.int64)
    # Of the ideal times between two frames the first and the last are enough: those between choose the same frames. So the work
    # grows with the frames, whatever the rate and however wild a jump in the times.
    place = (times_s - times_s[0]) * per_second
    ideal = times_s[0] + np.unique(np.concatenate([np.floor(place), np.ceil(place)])) / per_second
    ideal = ideal[ideal <= times_s[-1] + 0.5 / per_second]
    after = np.searchsorted(times_s, ideal).clip(1, len(times_s) - 1)
    before_is_nearer = ideal - times_s[after - 1] <= times_s[after] - ideal
    return np.unique(np.where(before_is_nearer, after - 1, after)).astype(np.int64)
