"""How UTC runs against a film's own time, where it doesn't run like it: time lapses, TimeWarp, slow
motion."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class TimeMap:
    """UTC seconds since the first frame, `elapsed_s` float64 [K], at seconds of the film since
    then, `media_s` float64 [K], rising.

    Between two of them UTC runs evenly. NaN in `elapsed_s`: nothing is known from the entry before
    to the one after; nothing is known before the first and after the last entry either.
    """

    media_s: Float64
    elapsed_s: Float64

    def elapsed_at(self, media_s: Float64) -> Float64:
        """UTC seconds since the first frame at seconds of the film, float64 [N]; NaN if unknown."""
        wanted = np.asarray(media_s, np.float64)
        return np.interp(wanted, self.media_s, self.elapsed_s, left=np.nan, right=np.nan)

    def cut(self, start_s: float, stop_s: float) -> TimeMap:
        """The same map with entries from `start_s` to `stop_s` of the film only."""
        stop_s = max(stop_s, start_s + 1e-6)
        inside = (self.media_s > start_s) & (self.media_s < stop_s)
        first, last = self.elapsed_at(np.array([start_s, stop_s]))
        media_s = np.concatenate(([start_s], self.media_s[inside], [stop_s]))
        return TimeMap(media_s, np.concatenate(([first], self.elapsed_s[inside], [last])))

    def unknown_s(self, start_s: float, stop_s: float) -> float:
        """How many seconds of the film from `start_s` to `stop_s` have no time."""
        known = np.isfinite(self.elapsed_s)
        both = known[:-1] & known[1:]
        left, right = self.media_s[:-1][both], self.media_s[1:][both]
        covered = np.minimum(right, stop_s) - np.maximum(left, start_s)
        return max(0.0, stop_s - start_s - float(covered.clip(0.0).sum()))


@dataclass(frozen=True)
class Rate:
    """How a film's time and the UTC of its telemetry go together.

    `map` is None where UTC runs like the film, and `start_us` the UTC of the first frame by the
    map. `known` is False where the two contradict each other, so that the film's time gives no UTC
    at all. `notes` say so, for people.
    """

    map: TimeMap | None = None
    start_us: int | None = None
    known: bool = True
    notes: tuple[str, ...] = ()
