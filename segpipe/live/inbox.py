"""What waits between a stream's reader and the model: bounded, with frames dropped and counted, or the reader waiting."""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace

from segpipe.frames import FrameFailure, FrameRef, ModelInput
from segpipe.sources.gaps import Gap

Input = ModelInput | FrameFailure
_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class End:
    """Nothing more will come; `error` says why where it is no good reason."""

    error: BaseException | None = None


class Inbox:
    """A queue with a reader's thread on one side and a recorder's on the other. Frames are bounded; gaps are few and never lost."""

    def __init__(self, depth: int, most_bytes: int | None, drop: bool, files_wait: bool = False) -> None:
        """`files_wait`: frames with media time are of a file with an end, and nothing forces it to hurry."""
        self.depth, self.most_bytes, self.drop, self.files_wait = max(1, depth), most_bytes, drop, files_wait
        self._items: deque[Input | Gap | End] = deque()
        self._frames = self._bytes = 0
        self._lag: Gap | None = None
        self._away: tuple[Gap, float] | None = None
        self._closed = False
        self._changed = threading.Condition()

    def put(self, item: Input | Gap | End) -> None:
        """Add what was read. A frame for which there is no room is dropped and counted, or this waits for room; an open gap
        is only remembered."""
        with self._changed:
            if isinstance(item, Gap):
                self._away = None if item.closed else (item, time.monotonic())
                if not item.closed:
                    return
            elif not isinstance(item, End) and not self._room_for(item):
                return
            self._items.append(item)
            self._changed.notify_all()

    def _room_for(self, item: Input) -> bool:
        self._away = None
        size = _size(item)
        while self._full(size):
            if self._closed:
                return False
            if self.drop and not (self.files_wait and item.ref.timestamp_source == "media"):
                self._count(item.ref)
                return False
            self._changed.wait(_POLL_S)
        self._frames += 1
        self._bytes += size
        return True

    def _full(self, size: int) -> bool:
        too_much = self.most_bytes is not None and self._bytes + size > self.most_bytes
        return self._frames > 0 and (self._frames >= self.depth or too_much)

    def _count(self, ref: FrameRef) -> None:
        time_us = ref.timestamp_us or 0
        old = self._lag or Gap("lag", time_us, time_us, ref.pts_s, reason="the model couldn't keep up", frames_dropped=0)
        self._lag = replace(old, stop_us=time_us, stop_pts_s=ref.pts_s, frames_dropped=(old.frames_dropped or 0) + 1)

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
                self._frames -= 1
                self._bytes -= _size(item)
            self._changed.notify_all()
            return item

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._items

    def take_lag(self) -> Gap | None:
        """The frames dropped since the last call, as a gap."""
        with self._changed:
            lag, self._lag = self._lag, None
            return lag

    def away(self) -> Gap | None:
        """The gap that lasts now, as long as it is by now."""
        with self._changed:
            if self._away is None:
                return None
            gap, heard_s = self._away
            return replace(gap, stop_us=gap.stop_us + round((time.monotonic() - heard_s) * 1e6), closed=True)

    def close(self) -> None:
        """The recorder wants no more: what still comes is let go."""
        with self._changed:
            self._closed = True
            self._items.clear()
            self._frames = self._bytes = 0
            self._changed.notify_all()

    def closed(self) -> bool:
        """Whether the recorder wants no more."""
        return self._closed


def _size(item: Input) -> int:
    return item.pixels.nbytes + item.view.height * item.view.width if isinstance(item, ModelInput) else 0
