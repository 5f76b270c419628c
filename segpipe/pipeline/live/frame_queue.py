"""What waits between a stream's reader and the model: bounded, with frames dropped and counted, or
the reader waiting."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace

from segpipe.core.types import FrameFailure, FrameRef, ModelInput
from segpipe.sources.stream.gaps import Gap

Input = ModelInput | FrameFailure
_POLL_S = 0.1
_OLDEST_US = 20_000_000
"""A frame that waits is let go when one comes that is so much newer: a player of HLS gets three
segments at once."""


@dataclass(frozen=True, slots=True)
class End:
    """Nothing more will come; `error` says why where it is no good reason."""

    error: BaseException | None = None


class Dropped:
    """Counts frames that nobody segmented, from the first to the last; several threads may."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        self._gap: Gap | None = None
        self._lock = threading.Lock()

    def add(self, ref: FrameRef) -> None:
        """One more."""
        time_us = ref.timestamp_us or 0
        with self._lock:
            old = self._gap or Gap(
                "lag", time_us, time_us, ref.pts_s, ref.pts_s, reason=self.reason, frames_dropped=0
            )
            if time_us < old.start_us:  # lanes give up in any order
                old = replace(old, start_us=time_us, start_pts_s=ref.pts_s)
            if time_us > old.stop_us:
                old = replace(old, stop_us=time_us, stop_pts_s=ref.pts_s)
            self._gap = replace(old, frames_dropped=(old.frames_dropped or 0) + 1)

    def take(self) -> Gap | None:
        """Those since the last call as a gap of lag, None where there were none."""
        with self._lock:
            gap, self._gap = self._gap, None
            return gap


class FrameQueue:
    """A queue with a reader's thread on one side and a recorder's on the other. Frames are bounded;
    gaps are few and never lost.

    With `drop` the oldest frames go when the newest is too far ahead of them, but `least` of them
    stay; or when all together hold more than `most_bytes`. Else, and while `finite` says that the
    media has an end, the reader waits while `depth` frames are here.
    """

    def __init__(self, depth: int, most_bytes: int | None, drop: bool, least: int = 1) -> None:
        self.depth, self.most_bytes, self.drop, self.least = (
            max(1, depth),
            most_bytes,
            drop,
            max(1, least),
        )
        self.finite = False
        self._items: deque[Input | Gap | End] = deque()
        self._frames = self._bytes = 0
        self._lag = Dropped("the model couldn't keep up")
        self._away: tuple[Gap, float] | None = None
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Input | Gap | End) -> None:
        """Add what was read, unless the recorder wants no more; an open gap is only remembered."""
        with self._changed:
            if self._closed:
                return
            if isinstance(item, Gap):
                self._away = None if item.closed else (item, time.monotonic())
                if not item.closed:
                    return
            elif not isinstance(item, End):
                self._make_room(item)
                self._frames += 1
                self._bytes += _size(item)
            self._items.append(item)
            self._changed.notify_all()

    def _make_room(self, item: Input) -> None:
        self._away = None
        while self._frames and not self._closed:
            too_big = self.most_bytes is not None and self._bytes + _size(item) > self.most_bytes
            if not self.drop or self.finite:
                if not too_big and self._frames < self.depth:
                    return
                self._changed.wait(_POLL_S)
                continue
            at, oldest = next(
                (i, o) for i, o in enumerate(self._items) if not isinstance(o, (Gap, End))
            )
            too_old = (item.ref.timestamp_us or 0) - (oldest.ref.timestamp_us or 0) > _OLDEST_US
            if not too_big and not (too_old and self._frames >= self.least):
                return
            del self._items[at]
            self._forget(oldest)
            self._lag.add(oldest.ref)

    def _forget(self, item: Input) -> None:
        self._frames -= 1
        self._bytes -= _size(item)

    def get(self, timeout_s: float) -> Input | Gap | End | None:
        """The next item, None where none comes in time."""
        with self._changed:
            if not self._items:
                self._changed.wait(timeout_s)
            if not self._items:
                return None
            item = self._items[0]
            if isinstance(item, End):  # it stays: nothing comes behind it
                return item
            self._items.popleft()
            if not isinstance(item, Gap):
                self._forget(item)
            self._changed.notify_all()
            return item

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._items

    def take_lag(self) -> Gap | None:
        """The frames dropped since the last call, as a gap."""
        return self._lag.take()

    def away(self) -> Gap | None:
        """The gap that lasts now, as long as it is by now."""
        with self._changed:
            if self._away is None:
                return None
            gap, heard_s = self._away
            return replace(
                gap, stop_us=gap.stop_us + round((time.monotonic() - heard_s) * 1e6), closed=True
            )

    def close(self) -> None:
        """The recorder wants no more: what still comes is let go, what waits can be had."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def closed(self) -> bool:
        """Whether the recorder wants no more."""
        return self._closed

    def empty(self) -> list[Input | Gap]:
        """Close, and give all that waits."""
        with self._changed:
            self._closed = True
            left = [i for i in self._items if not isinstance(i, End)]
            self._items.clear()
            self._frames = self._bytes = 0
            self._changed.notify_all()
            return left


def _size(item: Input) -> int:
    return item.pixels.nbytes if isinstance(item, ModelInput) else 0
