"""Which frames of a video are wanted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segpipe.core.config.job import Sampling
from segpipe.core.errors import SourceError
from segpipe.sources.video.frame_index import PacketIndex


def select(
    index: PacketIndex, sampling: Sampling, metres: NDArray[np.float64] | None = None
) -> NDArray[np.int64]:
    """Positions in the packet index that the sampling asks for: int64, sorted, each once.

    `metres` float64 [N] is the way to each frame along the track, NaN where it has no position;
    sampling by metres needs it and raises SourceError without.
    """
    if sampling.every_m:
        if metres is None or not np.isfinite(metres).any():
            raise SourceError(
                "sampling.every_m needs positions, and no track fits this video; add one, or "
                "sample by time"
            )
        return every_metres(metres, sampling.every_m)
    if sampling.every_n:
        return np.arange(0, len(index.pts), sampling.every_n, dtype=np.int64)
    if sampling.keyframes:
        return index.key_indices()
    if sampling.per_second:
        return nearest_to_rate(index.times_s, sampling.per_second)
    return np.arange(len(index.pts), dtype=np.int64)


def every_metres(metres: NDArray[np.float64], step_m: float) -> NDArray[np.int64]:
    """The first frame that has a position, then the first frame at or after each further `step_m`
    metres. Frames without a position are left out; a camera that stands still gives no more frames.
    """
    placed = np.flatnonzero(np.isfinite(metres))
    # A hair of tolerance: 5.0 metres of track must not be missed because the sum of its steps is
    # 4.999999999.
    passed = np.floor((metres[placed] - metres[placed[0]]) / step_m + 1e-9)
    return placed[np.concatenate(([True], np.diff(np.maximum.accumulate(passed)) > 0))].astype(
        np.int64
    )


def nearest_to_rate(times_s: NDArray[np.float64], per_second: float) -> NDArray[np.int64]:
    """For each ideal time (the first frame's time, then steps of 1 / rate) the nearest frame; each
    frame at most once.

    Where the footage has fewer frames than asked for, all of them are taken, and none twice.
    """
    if len(times_s) == 1:
        return np.zeros(1, np.int64)
    # Of the ideal times between two frames the first and the last are enough: those between choose
    # the same frames. So the work grows with the frames, whatever the rate and however wild a jump
    # in the times.
    place = (times_s - times_s[0]) * per_second
    ideal = times_s[0] + np.unique(np.concatenate([np.floor(place), np.ceil(place)])) / per_second
    ideal = ideal[ideal <= times_s[-1] + 0.5 / per_second]
    after = np.searchsorted(times_s, ideal).clip(1, len(times_s) - 1)
    before_is_nearer = ideal - times_s[after - 1] <= times_s[after] - ideal
    return np.unique(np.where(before_is_nearer, after - 1, after)).astype(np.int64)
