"""Sums over the frames of a shard or a stream, and the seconds that they took."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass
class Totals:
    """Sums over frames. `shares` (float64 [classes]) sums each class's share of the valid pixels
    over the `shown` frames that have valid pixels; `placed` frames have a position, `usable` ones
    pass the thresholds."""

    shares: NDArray[np.float64]
    frames: int = 0
    failed: int = 0
    placed: int = 0
    usable: int = 0
    shown: int = 0

    @classmethod
    def of(cls, classes: int) -> Totals:
        """Nothing yet, of a model with so many classes."""
        return cls(np.zeros(classes))


@dataclass(frozen=True, slots=True)
class Seconds:
    """Busy seconds of the stages, reading and writing on one thread each, inference summed over the
    lanes; and the seconds on the clock."""

    read_s: float = 0.0
    infer_s: float = 0.0
    write_s: float = 0.0
    wall_s: float = 0.0
