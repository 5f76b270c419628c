"""What a recorder takes of a stream within the limits of its run, and what is left of it at the
end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import replace

from segpipe.core.config.job import StreamSettings
from segpipe.pipeline.live.frame_queue import Dropped, End, FrameQueue, Input
from segpipe.pipeline.live.limits import Limits, Span
from segpipe.sources.stream.gaps import Gap, Past, Step

_POLL_S = 0.2


class RecordingWindow:
    """A stream's frames and gaps in their order, until an End; then the gaps that the run ends
    in."""

    def __init__(
        self, span: Span, settings: StreamSettings, inbox: FrameQueue, stop: Callable[[], bool]
    ) -> None:
        self.span, self.settings, self.inbox = span, settings, inbox
        self.limits = Limits(span, stop)
        self.dropped = Dropped("the run ended before the model came to them")
        """What nobody begins any more; the recorder's lanes add to it."""
        self.ended: End | None = None
        self._waiting: deque[Input | Gap] = deque()
        self._seen, self._step = 0, Step()
        self._last_us, self._last_pts_s, self._last_s = span.begin_us, 0.0, time.monotonic()
        self._silent_s = 0.0

    def begin(self) -> int | None:
        """Between the dataset's last shard and the first frame segpipe wasn't running: that gap
        comes first, no longer than it needs to be. Returns the UTC (microseconds) at which the
        stream's seconds begin, where this run is the first to have frames of it."""
        first, past, begin_us = self.next(), self.span.past, self.span.begin_us
        if not isinstance(first, (End, Gap)):
            begin_us = min(begin_us, first.ref.timestamp_us or begin_us)
        away = _away(past, begin_us)
        starts_us = None
        if not past.frame_us and not isinstance(first, End):
            starts_us = (
                first.stop_us if isinstance(first, Gap) else first.ref.timestamp_us or begin_us
            )
        for item in (first, away):
            if item is not None and not isinstance(item, End):
                self.put_back(item)
        return starts_us

    def next(self, until_s: float | None = None) -> Input | Gap | End:
        """The next thing to write, or an End where the run is at its end, or `until_s` (monotonic)
        has come."""
        while not self.limits.over():
            if self._waiting:
                return self._waiting.popleft()
            if self.limits.stopped():
                self.inbox.close()
            found = self.inbox.get(_POLL_S)
            if isinstance(found, End):
                self.ended = found
                return found
            if found is not None:
                return End() if self._ends_with(found) else found
            if self.limits.ended() or (until_s is not None and time.monotonic() >= until_s):
                self._silent_s = time.monotonic() - self._last_s if self.inbox.is_empty() else 0.0
                return End()
        return End()

    def put_back(self, item: Input | Gap) -> None:
        """It comes next again."""
        self._waiting.appendleft(item)

    def passed(self, item: Input) -> None:
        """A frame is on its way to the model."""
        time_us = item.ref.timestamp_us or 0
        if self._seen:
            self._step.add((time_us - self._last_us) / 1e6)
        self._seen += 1
        self._last_us, self._last_pts_s, self._last_s = (
            time_us,
            item.ref.pts_s or 0.0,
            time.monotonic(),
        )

    def _ends_with(self, item: Input | Gap) -> bool:
        """Whether the run's time was over before this: nothing that comes after it is wanted."""
        if not self._is_late(item):
            return False
        self.limits.end_now()
        self.inbox.empty()
        return True

    def _is_late(self, item: Input | Gap) -> bool:
        time_us = item.start_us if isinstance(item, Gap) else item.ref.timestamp_us or 0
        return self.span.end_us is not None and time_us >= self.span.end_us

    def left(self) -> list[Gap]:
        """At the end: the gaps that still wait, and the frames that do, counted, as one more.
        Nothing comes after that."""
        items = [i for i in (*self._waiting, *self.inbox.empty()) if not self._is_late(i)]
        self._waiting.clear()
        gaps = [i for i in items if isinstance(i, Gap)]
        for item in items:
            if not isinstance(item, Gap):
                self.dropped.add(item.ref)
        return [*gaps, *(g for g in (self.inbox.take_lag(), self.dropped.take()) if g is not None)]

    def last_gap(self) -> Gap | None:
        """The gap that the run ends in: the stream was away, or gave nothing for too long."""
        gap, silent_s = self.inbox.away(), self._silent_s
        if gap is None and self.ended is None:
            if not self._seen and silent_s > 0:
                begin_us = self.span.begin_us + self.span.ahead_us
                gap = Gap(
                    "connect", begin_us, begin_us + round(silent_s * 1e6), reason="no frame came"
                )
            elif silent_s > self._step.longest_s and self.settings.clock == "arrival":
                gap = Gap(
                    "stall",
                    self._last_us,
                    self._last_us + round(silent_s * 1e6),
                    self._last_pts_s,
                    reason="no frames came",
                )
        if gap is None:
            return None
        stop_us = gap.stop_us if self.span.end_us is None else min(gap.stop_us, self.span.end_us)
        return replace(gap, stop_us=stop_us) if stop_us > gap.start_us else None


def _away(past: Past, begin_us: int) -> Gap | None:
    """The gap from the end of what the dataset has to where this run begins (UTC, microseconds)."""
    if not begin_us > past.end_us > 0:
        return None
    start_s, stop_s = (
        past.seconds_at(t) if past.frame_us else None for t in (past.end_us, begin_us)
    )
    reason = "segpipe wasn't running"
    return Gap("not running", past.end_us, begin_us, start_s, stop_s, reason=reason)
