"""What tests of streams wait for, instead of looking at the clock: how far a recording has come.

And a time of its own for it, which doesn't depend on how busy the machine is."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from segpipe.pipeline import lanes
from segpipe.pipeline.live import frame_queue, limits, plan, recorder, stream_reader, window
from segpipe.sources.stream import (
    arrivals,
    backoff,
    beginning,
    connection,
    gaps,
    reader,
    resolving,
)
from segpipe.sources.stream.gaps import Gap
from tests.clock import HANG_S
from tests.pipeline.live.servers import hung_up

_TIMED = (
    stream_reader,
    frame_queue,
    window,
    limits,
    recorder,
    plan,
    arrivals,
    backoff,
    beginning,
    connection,
    gaps,
    reader,
    resolving,
)
"""The modules that decide by the clock what becomes of a stream."""
_PARSED = 3
"""So many frames FFmpeg may keep: it gives one when it has seen where the next begins."""
_GROUPED = 2
"""So many more wait for the one that completes their group."""
_OPENING_S, _OPENING_FRAMES = 2.0, 40
"""FFmpeg gives no frame until it has seen a second of a stream. Where it can't tell the rate, that
is 25 frames."""


class Progress:
    """Counts packets that were read, frames that were given to the recorder, and frames that the
    model is done with, by source."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.taken = 0
        self.arrived = 0
        self.segmented: Counter[str] = Counter()
        self._lock = threading.Lock()
        packets_of = connection.packets_of
        put = frame_queue.FrameQueue.put
        segment = lanes.segment

        def counted_packets(*arguments: Any) -> Iterator[Any]:
            for found in packets_of(*arguments):
                with self._lock:
                    self.taken += 1
                yield found

        def counted_put(box: frame_queue.FrameQueue, item: Any) -> None:
            put(box, item)
            if not isinstance(item, (Gap, frame_queue.End)):
                with self._lock:
                    self.arrived += 1

        def counted_segment(group: Any, *arguments: Any) -> Any:
            found = segment(group, *arguments)
            with self._lock:
                self.segmented.update(i.ref.source_id for i in group)
            return found

        monkeypatch.setattr(connection, "packets_of", counted_packets)
        monkeypatch.setattr(frame_queue.FrameQueue, "put", counted_put)
        monkeypatch.setattr(lanes, "segment", counted_segment)

    @property
    def done(self) -> int:
        """Frames that the model is done with."""
        with self._lock:
            return self.segmented.total()


class OwnTime(Progress):
    """Stands in for `time` where streams are read and recorded. It moves when a test or its server
    moves it, and by a microsecond whenever it is read. `sleep` moves it on and returns at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        super().__init__(monkeypatch)
        self._begin_us = time.time_ns() // 1000
        self._us = 0
        for module in _TIMED:
            monkeypatch.setattr(module, "time", self)

    def __getattr__(self, name: str) -> Any:
        return getattr(time, name)

    def advance(self, seconds: float) -> None:
        """Let so much time pass."""
        with self._lock:
            self._us += round(seconds * 1e6)

    def monotonic(self) -> float:
        self.advance(1e-6)
        return self._us / 1e6

    def time_ns(self) -> int:
        self.advance(1e-6)
        return (self._begin_us + self._us) * 1000

    def time(self) -> float:
        return self.time_ns() / 1e9

    def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        time.sleep(0.001)  # others have their turn

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.time(), UTC)

    def pace(self, model: Callable[[], bool] = lambda: True) -> Pace:
        """The pace of one connection."""
        return Pace(self, model)


class Pace:
    """Paces the frames of one connection: time passes when the frame before was read, so that each
    one comes in its time, however slow the reader is. While `model` says so, the model must be done
    with them as well."""

    def __init__(self, clock: OwnTime, model: Callable[[], bool]) -> None:
        self.clock = clock
        self.model = model
        self.sent = 0
        self.taken = clock.taken
        self.arrived = clock.arrived
        self.done = clock.done

    def step(self, handler: BaseHTTPRequestHandler, seconds: float) -> None:
        """After a frame. Raises ConnectionError where the reader is gone."""
        self.sent += 1
        since = time.monotonic()
        while not self._may_go_on(seconds, time.monotonic() - since):
            if hung_up(handler):
                raise ConnectionResetError
            time.sleep(0.002)
        self.clock.advance(seconds)

    def _may_go_on(self, seconds: float, waited_s: float) -> bool:
        taken = self.clock.taken - self.taken
        arrived = self.clock.arrived - self.arrived
        done = self.clock.done - self.done
        if not taken:  # FFmpeg is opening the connection, and reads what isn't counted
            return self.sent < max(_OPENING_S / seconds, _OPENING_FRAMES) and waited_s > 0.01
        if taken < self.sent - _PARSED:
            return False
        # The first pictures are held back until it is known when they came.
        return not self.model() or not arrived or done >= self.sent - _PARSED - _GROUPED


def until(condition: Callable[[], bool]) -> Callable[[], bool]:
    """The end of a run: when something has come about. Where that never comes the run ends as well,
    and the test fails."""
    hangs = time.monotonic() + HANG_S
    return lambda: condition() or time.monotonic() > hangs
