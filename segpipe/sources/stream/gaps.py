"""The pieces of a stream's time: gaps, a frame's place, the usual step, a clock that doesn't
jump."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from typing import Literal

GapKind = Literal["connect", "lost", "stall", "jump", "crash", "lag", "not running"]
GAP_S = 1.0
"""A pause is a gap from here on, or from three times the usual step between frames where that is
more."""


@dataclass(frozen=True, slots=True)
class Gap:
    """Time without frames. UTC in microseconds and seconds of the stream; `closed` is False while
    it lasts, and `stop_us` is then where it has come to."""

    kind: GapKind
    start_us: int
    stop_us: int
    start_pts_s: float | None = None
    stop_pts_s: float | None = None
    attempts: int = 0
    reason: str = ""
    frames_dropped: int | None = None
    closed: bool = True


@dataclass(frozen=True, slots=True)
class Past:
    """Where earlier runs of a stream end: the end of its shards and its last frame (UTC,
    microseconds; 0 where there is none), and that frame's seconds."""

    end_us: int = 0
    frame_us: int = 0
    pts_s: float = 0.0

    def seconds_at(self, utc_us: float) -> float:
        """The seconds of a moment: they go on from run to run, and begin with the first one's first
        frame."""
        return self.pts_s + (utc_us - self.frame_us) / 1e6 if self.frame_us else 0.0


NO_PAST = Past()


@dataclass(frozen=True, slots=True)
class Moment:
    """A frame's place: seconds of the stream, UTC in microseconds, and the gap that ends with
    it."""

    pts_s: float
    utc_us: int
    gap: Gap | None = None


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a picture is in its connection's media, in seconds, and what is added to get the
    stream's seconds: a reader after a crash goes on from there. `finite`: the media has an end, and
    a new connection begins at its beginning again."""

    media_s: float
    shift_s: float
    finite: bool


class Step:
    """The usual step between frames in seconds: a mean that forgets."""

    def __init__(self) -> None:
        self.seconds, self.count = 0.04, 0

    def add(self, seconds: float) -> None:
        """Learn from a step. A pause counts as far as the longest step only: one isn't usual, but
        many are."""
        self.count += 1
        seconds = min(seconds, 60.0 if self.count == 1 else self.longest_s)
        self.seconds += max(0.1, 1 / self.count) * (seconds - self.seconds)

    @property
    def longest_s(self) -> float:
        """From here on a pause is a gap; of a stream's first step nobody can say."""
        return max(GAP_S, 3.0 * self.seconds) if self.count else math.inf


class SteadyClock:
    """UTC that never goes back and never jumps by itself: the system's clock when it was last
    looked at, and the seconds since."""

    def __init__(self, not_before_us: int = 0) -> None:
        self._base_us, self._base_s = 0, time.monotonic()
        self._base_us = max(time.time_ns() // 1000, not_before_us)

    def now_us(self) -> int:
        """Microseconds since 1970."""
        return self.utc_us_at(time.monotonic())

    def utc_us_at(self, monotonic_s: float) -> int:
        """The UTC of a moment of `time.monotonic`."""
        return self._base_us + round((monotonic_s - self._base_s) * 1e6)

    def look(self) -> None:
        """Follow the system's clock where it has been set forward; where it was set back, time goes
        on as it was."""
        now_s = time.monotonic()
        self._base_us, self._base_s = max(time.time_ns() // 1000, self.utc_us_at(now_s)), now_s
