"""A stream's reader: a child process that decodes and makes frames ready, and the thread here that
takes them from it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from segpipe.core.errors import ReaderFailed, SegpipeError, SourceError
from segpipe.inference.measures.measuring import PictureMeter
from segpipe.inference.models.preprocess import Preprocessing
from segpipe.pipeline.arrivals import check_input
from segpipe.pipeline.live.frame_queue import End, FrameQueue, Input
from segpipe.pipeline.stages import prepare
from segpipe.runtime import isolation
from segpipe.sources.stream.backoff import BackOff
from segpipe.sources.stream.gaps import Gap, Mark
from segpipe.sources.stream.reader import LiveRequest, live_frames

log = logging.getLogger(__name__)
_CRASHES = 5
"""So many crashes without a frame between them, and the stream is given up."""


@dataclass(frozen=True)
class StreamRequest:
    """All that the child needs: it travels there whole."""

    live: LiveRequest
    preprocessing: Preprocessing
    meter: PictureMeter | None
    silence_s: float
    """Without a sign of life for so long, the child counts as hanging."""
    isolate: bool = True


def live_inputs(request: StreamRequest) -> Iterator[Input | Gap | Mark]:
    """A stream's frames at the network's size, its failures, its gaps and marks. Raises SourceError
    as `live_frames`."""
    for item in live_frames(request.live):
        if isinstance(item, (Gap, Mark)):
            yield item
        else:
            yield from prepare([item], request.preprocessing, request.meter)


def get_ready(request: StreamRequest) -> None:
    """Import what the first frame needs, before the reader is timed."""
    request.preprocessing.get_ready()


class StreamReader:
    """Fills an inbox from a stream until the inbox is closed; `seconds` are those that the reading
    itself took."""

    def __init__(self, request: StreamRequest, inbox: FrameQueue) -> None:
        self.request, self.inbox = request, inbox
        self.seconds = 0.0
        self._crashes, self._away = 0, False
        self._mark: Mark | None = None
        self._crashed_at: Mark | None = None
        self._thread = threading.Thread(
            target=self._work, name=f"segpipe-{request.live.stream.info.source_id}", daemon=True
        )

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def join(self, timeout_s: float) -> None:
        """Wait for the end of the reading. A thread that hangs in FFmpeg is left behind: it ends
        with the process."""
        self._thread.join(timeout_s)

    def _work(self) -> None:
        back_off = BackOff(1.0, 30.0)
        end = End()
        while not self.inbox.closed():
            try:
                self._read()
            except isolation.Cancelled:
                pass
            except (isolation.ChildLost, ReaderFailed) as lost:
                error = self._crashed(lost)
                if error is None:
                    back_off.tries = self._crashes
                    for _ in back_off.waits():
                        if self.inbox.closed():
                            break
                    continue
                end = End(error)
            except BaseException as error:  # noqa: BLE001 - it is raised again on the recorder's side
                end = End(error)
            break
        self.inbox.put(end)

    def _read(self) -> None:
        if self.request.isolate:
            items = isolation.stream(
                live_inputs,
                self.request,
                timeout_s=self.request.silence_s,
                cancelled=self.inbox.closed,
                on_busy=self._busy,
                ready=get_ready,
                network=True,
            )
        else:
            items = live_inputs(self.request)
        for item in items:
            if self.inbox.closed():
                return
            if isinstance(item, Mark):
                self._mark, self.inbox.finite = item, item.finite
                continue
            if not isinstance(item, Gap):
                live = self.request.live
                check_input(item, live.stream.info.source_id, live.decoding.max_pixels)
            self._passed(item)
            self.inbox.put(item)

    def _passed(self, item: Input | Gap) -> None:
        """Remember where a reader after a crash has to go on, and say when the stream goes and
        comes."""
        live = self.request.live
        if not isinstance(item, Gap):
            self._crashes = 0
            time_us, pts_s = item.ref.timestamp_us or live.begin_us, item.ref.pts_s or 0.0
            here = replace(live, begin_us=time_us, pts_s=pts_s, again="crash", mark=self._mark)
            self.request = replace(self.request, live=here)
        elif not item.closed and not self._away:
            self._away = True
            log.warning("%s: %s; connecting again", live.stream.info.uri, item.reason)
        elif item.closed and self._away:
            self._away = False
            log.warning(
                "%s: there again after %.1f s",
                live.stream.info.uri,
                (item.stop_us - item.start_us) / 1e6,
            )

    def _crashed(self, lost: isolation.ChildLost | ReaderFailed) -> SegpipeError | None:
        """Note a crash, or that no child could be started; an error where it is one too many. A
        child that can't be started before a frame came won't start at another time either."""
        live, why = self.request.live, str(lost)
        if isinstance(lost, ReaderFailed) and live.again is None:
            return lost
        self._crashes += 1
        log.warning("%s: %s; connecting again", live.stream.info.uri, why)
        if self._crashes >= _CRASHES:
            return SourceError(
                f"{live.stream.info.uri}: {why}, {self._crashes} times without a frame between",
                transient=True,
            )
        here = self._mark if isinstance(lost, isolation.ChildLost) else None
        if here is not None and here.finite and here == self._crashed_at:
            return SourceError(
                f"{live.stream.info.uri}: {why}, twice at the same place, {live.pts_s:.3f} s in; "
                "what comes after it isn't read"
            )
        self._crashed_at = here or self._crashed_at
        self.request = replace(self.request, live=replace(live, reason=why))
        now_us = time.time_ns() // 1000
        if live.again is not None:
            self.inbox.put(
                Gap(
                    "crash",
                    live.begin_us,
                    max(now_us, live.begin_us),
                    live.pts_s,
                    reason=why,
                    closed=False,
                )
            )
        return None

    def _busy(self, seconds: float) -> None:
        self.seconds += seconds
