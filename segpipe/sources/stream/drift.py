"""How far a stream's own time drifts away from the clock."""

from __future__ import annotations

import math

EARLY_S = 0.5
"""So much a frame may be ahead of the clock before the stream's own time is mistrusted."""
DRIFT_S = 2.0
_LOOK_S = 30.0
"""When all frames of so many seconds came later than their times say by more than the drift, times
are set anew."""


class Drift:
    """The least delay of half a minute, where that is a drift."""

    def __init__(self) -> None:
        self._since_us, self._least_us = 0, math.inf

    def begin_anew(self) -> None:
        """A new connection may have other delays."""
        self._since_us = 0

    def after(self, utc_us: int, arrival_us: int) -> float:
        """Learn from a frame that came at `arrival_us`, with this time; by how many microseconds
        UTC is to be set anew, 0 where that is no drift."""
        if arrival_us - self._since_us > _LOOK_S * 1e6:
            first, least_us = not self._since_us, self._least_us
            self._since_us, self._least_us = arrival_us, math.inf
            known = not first and least_us != math.inf
            if known and (least_us > DRIFT_S * 1e6 or least_us < -EARLY_S * 1e6):
                return least_us
        self._least_us = min(self._least_us, arrival_us - utc_us)
        return 0.0
