"""A shard's frames made ready for the network, in a child process: a crash inside a codec costs the
frame, not the run.

After a crash the reading goes on in a new child behind the last frame that came, on one thread:
with several, frames that were in work before the bad one are lost with it. Where it crashes again
without a frame, that frame is a failure. The pictures of a video hang together from one key frame
to the next: within such a group twice as many are given up after each further crash, so that a
damaged group costs a few restarts, however long it is, and no frame of the next. A hang costs the
rest of its group, and a second one the rest of the shard.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

from segpipe.core.config.job import ReadSettings, Sampling
from segpipe.core.types import Frame, FrameFailure, FrameRef, ModelInput, Shard
from segpipe.inference.measures.measuring import PictureMeter
from segpipe.inference.models.preprocess import Preprocessing
from segpipe.pipeline.arrivals import check_input, check_ref, check_shards
from segpipe.pipeline.stages import prepare
from segpipe.runtime import isolation
from segpipe.sources import (
    FoundSource,
    ShardsOf,
    open_shard,
    refs_of,
    shards_of,
    source_of,
    unreadable_shard,
)
from segpipe.sources.decoding import Decoding
from segpipe.telemetry.locate import NOWHERE, Locator

log = logging.getLogger(__name__)
Input = ModelInput | FrameFailure


@dataclass(frozen=True)
class ReadRequest:
    """All that reading a shard takes: it travels to the child whole."""

    shard: Shard
    sampling: Sampling
    decoding: Decoding
    preprocessing: Preprocessing
    locator: Locator = NOWHERE
    meter: PictureMeter | None = None


def read_shard(request: ReadRequest) -> Iterator[Input]:
    """A shard's frames at the network's size, in order. First comes the wanted frame before a
    video's shard: it is segmented and not written, so that what is said of the shard's first frame
    doesn't depend on where the shards are cut."""
    shard = request.shard
    if shard.before >= 0 and not request.decoding.skip:
        one = replace(shard, start=shard.before, stop=shard.before + 1, chosen=(shard.before,))
        yield from prepare(
            open_shard(one, request.sampling, request.decoding), request.preprocessing
        )
    frames: Iterator[Frame | FrameFailure] = open_shard(
        shard, request.sampling, request.decoding, request.locator
    )
    yield from prepare(frames, request.preprocessing, request.meter)


def get_ready(request: ReadRequest) -> None:
    """Import what the first frame needs, before the reader is timed."""
    request.preprocessing.get_ready()


def request_refs(request: ReadRequest) -> list[tuple[FrameRef, int]]:
    """What each wanted frame is, and its group. Runs in the child, which has the index at hand."""
    return refs_of(request.shard, request.sampling, request.decoding, request.locator)


class ShardReader:
    """Reads one shard; `seconds` are those that the reading itself took. `cancel` may be called
    from any thread."""

    def __init__(self, request: ReadRequest, settings: ReadSettings) -> None:
        self.request, self.settings = request, settings
        self.seconds = 0.0
        self._max_pixels = request.decoding.max_pixels
        self.done, self.led = 0, request.shard.before < 0
        """Frames of the shard that came, and whether the one before it has come or isn't needed."""
        self._independent = source_of(request.shard.source.kind).files_are_frames
        self._cancelled = threading.Event()
        self._given_up = self._hangs = 0
        """Frames given up at the last crash, which double while nothing comes; and how often the
        reading hung."""

    def cancel(self) -> None:
        """Let `frames` end soon, wherever it waits."""
        self._cancelled.set()

    def frames(self) -> Iterator[Input]:
        """The shard's inputs and failures in order. Raises ChildLost where not even the frames'
        names can be had."""
        again = True
        while True:
            came = False
            try:
                for item in self._stream():
                    check_input(item, self.request.shard.source.source_id, self._max_pixels)
                    came, self._given_up = True, 0
                    self._passed(item)
                    yield item
                return
            except isolation.ChildLost as lost:
                log.debug("%s: %s after %d frames", self.request.shard.name, lost, self.done)
                self._on_one_thread()
                # Once more: the machine may have been short of something
                if came or (again and not lost.hung):
                    again = False
                    continue
                yield from self._give_up(lost)
                again = self._independent
                if self.done >= self.request.shard.frame_count:
                    return

    def _stream(self) -> Iterator[Input]:
        request = replace(self.request, decoding=replace(self.request.decoding, skip=self.done))
        if self.led:
            request = replace(request, shard=replace(request.shard, before=-1))
        return isolation.stream(
            read_shard,
            request,
            timeout_s=self.settings.timeout_s,
            cancelled=self._cancelled.is_set,
            on_busy=self._busy,
            ready=get_ready,
        )

    def _busy(self, seconds: float) -> None:
        self.seconds += seconds

    def _passed(self, item: Input) -> None:
        if self.led or item.ref.frame_index != self.request.shard.before:
            self.done += 1
        self.led = True

    def _on_one_thread(self) -> None:
        self.request = replace(self.request, decoding=replace(self.request.decoding, threads=1))

    def _give_up(self, lost: isolation.ChildLost) -> list[Input]:
        """The next frames as failures; the first to go is the frame before the shard, which has no
        row here."""
        if not self.led:
            self.led = True
            return []
        self._hangs += lost.hung
        self._given_up = max(1, 2 * self._given_up)
        refs = isolation.call(
            request_refs,
            self.request,
            timeout_s=self.settings.timeout_s,
            cancelled=self._cancelled.is_set,
        )
        for ref, _ in refs:
            check_ref(ref, self.request.shard.source.source_id)
        left = refs[self.done : self.request.shard.frame_count]
        if self._hangs < 2:
            together = [pair for pair in left if pair[1] == left[0][1]]
            left = together if lost.hung else together[: self._given_up]
        self.done = self.done + len(left) if left else len(refs)
        return [FrameFailure(ref, str(lost), lost.transient) for ref, _ in left]


class ShardReaderHere:
    """The same in this process: a crash of a codec ends it."""

    def __init__(self, request: ReadRequest) -> None:
        self.request, self.seconds = request, 0.0

    def cancel(self) -> None:
        """Nothing waits here."""

    def frames(self) -> Iterator[Input]:
        """The shard's inputs and failures in order."""
        items = read_shard(self.request)
        while True:
            since = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            finally:
                self.seconds += time.perf_counter() - since
            yield item


def plan_in_child(settings: ReadSettings) -> ShardsOf:
    """`shards_of` in a child process; a source that crashes the reader, or makes it hang, is a
    failed row as any other."""

    def shards(
        found: FoundSource, sampling: Sampling, size: int, locator: Locator, decoding: Decoding
    ) -> list[Shard]:
        # Their names alone are the plan
        if source_of(found.info.kind).files_are_frames:
            return shards_of(found, sampling, size, locator, decoding)
        try:
            planned = isolation.call_unless_stopped(
                shards_of, found, sampling, size, locator, decoding, timeout_s=settings.timeout_s
            )
            check_shards(planned, found)
        except isolation.ChildLost as lost:
            return [
                unreadable_shard(found.info, found.files[0], str(lost), transient=lost.transient)
            ]
        return list(planned)

    return shards
