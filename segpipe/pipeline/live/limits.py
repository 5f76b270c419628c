"""When a recording ends: at a moment that was set before, or when it is asked to."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from segpipe.sources.stream.gaps import NO_PAST, Past

_GRACE_S, _STOP_GRACE_S = 2.0, 1.0
"""For so long after the end, or after it was asked for, what waits is still segmented: a model that
keeps up loses nothing."""


@dataclass(frozen=True)
class Span:
    """From when to when a stream is recorded: UTC in microseconds. `past` is what the dataset has
    of it already; `end_us` is None where nothing but a signal ends the run."""

    begin_us: int
    past: Past = NO_PAST
    end_us: int | None = None

    @property
    def ahead_us(self) -> int:
        """By how much the stream's time runs ahead of the clock: a file that is read faster than it
        plays has a past to come."""
        return max(0, self.past.end_us + 1 - self.begin_us)


class Limits:
    """The end of a span, or `stop`, on the clock that doesn't jump. Several threads may ask."""

    def __init__(self, span: Span, stop: Callable[[], bool]) -> None:
        self.stop = stop
        now_s = time.monotonic()
        self._end_s = (
            None
            if span.end_us is None
            else now_s + (span.end_us - span.ahead_us - time.time_ns() // 1000) / 1e6
        )
        self._went_on_s = now_s

    def stopped(self) -> bool:
        """Whether the run was asked to end."""
        if self.stop():
            return True
        self._went_on_s = time.monotonic()
        return False

    def ended(self) -> bool:
        """Whether nothing new is waited for."""
        return self.stopped() or (self._end_s is not None and time.monotonic() >= self._end_s)

    def over(self) -> bool:
        """Whether not even what waits is begun any more. Behind a slow model nobody asks often: the
        grace is counted from when it was last known that the run goes on."""
        now_s = time.monotonic()
        if self._end_s is not None and now_s >= self._end_s + _GRACE_S:
            return True
        return self.stopped() and now_s >= self._went_on_s + _STOP_GRACE_S

    def end_now(self) -> None:
        """The stream has come to the span's end by its own time."""
        self._end_s = time.monotonic()
