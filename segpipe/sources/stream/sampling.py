"""Which frames of a live stream are wanted."""

from __future__ import annotations

import math

from segpipe.core.config.job import Sampling


class LiveSampler:
    """Which frames of a live stream are wanted, told as they come; key frames alone are the
    decoder's affair."""

    def __init__(self, sampling: Sampling) -> None:
        self.sampling = sampling
        self._count = 0
        self._next_s = 0.0

    def wanted(self, pts_s: float, step_s: float) -> bool:
        """Whether the next frame is wanted, at `pts_s` seconds of the run and about `step_s` before
        the one after it."""
        self._count += 1
        if self.sampling.every_n:
            return (self._count - 1) % self.sampling.every_n == 0
        if not self.sampling.per_second:
            return True
        # The one after it is further from the ideal time.
        if pts_s < self._next_s - step_s / 2:
            return False
        self._next_s = (
            math.floor(pts_s * self.sampling.per_second + 0.5) + 1
        ) / self.sampling.per_second
        return True
