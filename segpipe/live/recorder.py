"""One stream recorded: its frames segmented and committed in shards that roll with time."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from segpipe.config import Job
from segpipe.frames import Shard
from segpipe.live.counts import Counted, StreamReport, gap_row
from segpipe.live.feeder import Feeder, FeedRequest
from segpipe.live.inbox import End, Inbox, Input
from segpipe.overlap import side_by_side
from segpipe.pipeline import OnFrames, Tally, known_of
from segpipe.quality import Judge
from segpipe.sources.decoding import Decoding
from segpipe.sources.gaps import NO_PAST, Gap, Past, Step
from segpipe.sources.live import LiveRequest
from segpipe.sources.streams import Stream
from segpipe.stages import Clock, bytes_of_group, in_batches, segment
from segpipe.store import Store
from segpipe.store.shard_writer import ShardWriter
from segpipe.store.sources import read_facts, write_facts
from segpipe.worker import SegmentationWorker

log = logging.getLogger(__name__)
_POLL_S = 0.2
_QUEUED, _QUEUED_BYTES = 32, 128 * 2**20
"""What may wait for the model: enough for the burst at a connection's beginning."""


@dataclass(frozen=True)
class Span:
    """From when to when a stream is recorded: UTC in microseconds. `past` is what the dataset has of it already; `end_us` is None
    where nothing but a signal ends the run."""

    begin_us: int
    past: Past = NO_PAST
    end_us: int | None = None


class Recorder:
    """Records one stream until its end, the end of the span, or `stop`; then the shard that is open is committed."""

    def __init__(
        self, stream: Stream, span: Span, job: Job, worker: SegmentationWorker, store: Store, stop: Callable[[], bool],
        on_frames: OnFrames | None = None,
    ) -> None:  # fmt: skip
        self.stream, self.span, self.job, self.worker, self.store = stream, span, job, worker, store
        self.stop, self.on_frames = stop, on_frames
        self.source = known_of(Shard("", stream.info, 0, ()), job, store)
        share = len(job.inputs)  # each stream has a recorder of its own in this process
        self.half = worker.max_memory // (2 * share) if worker.max_memory else None
        depth = _QUEUED + 2 * worker.lanes * worker.batch_size
        most_bytes, how = min(self.half or _QUEUED_BYTES, _QUEUED_BYTES // share), job.stream
        self.inbox = Inbox(depth, most_bytes, how.on_lag == "drop", files_wait=how.clock == "arrival")
        self.feeder = Feeder(self._request(), self.inbox)
        self.judge = Judge(job.quality, in_sequence=True)
        self.infer, self.write = Clock(), Clock()
        self.counted = Counted(np.zeros(len(worker.segmenter.spec.classes), np.int64))
        self.last_us, self.last_pts_s, self.last_s, self.step = span.begin_us, 0.0, time.monotonic(), Step()
        self._waiting: deque[Input | Gap] = deque()
        self._end_s = None if span.end_us is None else time.monotonic() + (span.end_us - time.time_ns() // 1000) / 1e6
        self._covered_us = 0
        self._ended: End | None = None
        self._silent_s = 0.0

    def _request(self) -> FeedRequest:
        job, worker, source = self.job, self.worker, self.source
        live = LiveRequest(
            self.stream, max(self.span.begin_us, self.span.past.end_us + 1), self.span.past, job.stream, job.sampling,
            Decoding(worker.decode_threads, job.read.max_pixels),
        )  # fmt: skip
        silence_s = 2 * job.stream.timeout_s + job.read.timeout_s
        metered = source.regions if job.quality.measure else None
        return FeedRequest(live, worker.segmenter.spec.preprocessing, metered, silence_s, job.read.isolate)

    def run(self) -> StreamReport:
        """Record. What ends the stream itself is in the report; what ends the writing is raised."""
        began = time.perf_counter()
        self.feeder.start()
        try:
            self._begin()
            while not isinstance(first := self._next(), End):
                self._record(first)
            last = self._last_gap()
            if last is not None:
                self._record(last)
        finally:
            self.inbox.close()
            self.feeder.join(1.0)
        seconds = (self.feeder.seconds, self.infer.seconds, self.write.seconds, time.perf_counter() - began)
        error = self._ended.error if self._ended is not None else None
        return self.counted.report(self.stream.info.source_id, seconds, error)

    def _begin(self) -> None:
        """Between the dataset's last shard and the first frame segpipe wasn't running; no gap is longer than it needs to be."""
        first, past, begin_us = self._next(), self.span.past, self.span.begin_us
        if not isinstance(first, (End, Gap)):
            begin_us = min(begin_us, first.ref.timestamp_us or begin_us)
        if begin_us > past.end_us > 0:
            start_s, stop_s = (past.seconds_at(t) if past.frame_us else None for t in (past.end_us, begin_us))
            self._waiting.append(Gap("not running", past.end_us, begin_us, start_s, stop_s, reason="segpipe wasn't running"))
        if not past.frame_us and not isinstance(first, End):
            self._starts(first.stop_us if isinstance(first, Gap) else first.ref.timestamp_us or begin_us)
        if not isinstance(first, End):
            self._waiting.append(first)

    def _starts(self, time_us: int) -> None:
        """Note in the table `sources` when the stream's seconds begin."""
        facts = read_facts(self.store.root, self.stream.info.source_id)
        if facts is not None:
            write_facts(self.store.root, replace(facts, start_us=time_us))
            self.source = known_of(Shard("", self.stream.info, 0, ()), self.job, self.store)

    def _next(self, until_s: float | None = None) -> Input | Gap | End:
        """The next thing to write, or an End where the run is at its end, or `until_s` (monotonic) has come."""
        if self._waiting:
            return self._waiting.popleft()
        while not self.stop():
            found = self.inbox.get(_POLL_S)
            if isinstance(found, End):
                self._ended = found
                return found
            if found is not None:
                return End() if self._is_late(found) else found
            now_s = time.monotonic()
            if (self._end_s is not None and now_s >= self._end_s) or (until_s is not None and now_s >= until_s):
                break
        self._silent_s = time.monotonic() - self.last_s if self.inbox.is_empty() else 0.0
        return End()

    def _is_late(self, item: Input | Gap) -> bool:
        """Whether the run's time was over before this. An endless queue behind a slow model must not keep the run alive."""
        if self.span.end_us is None:
            return False
        time_us = item.start_us if isinstance(item, Gap) else item.ref.timestamp_us or 0
        if time_us < self.span.end_us:
            return False
        self._end_s = time.monotonic()
        self.inbox.close()
        return True

    def _record(self, first: Input | Gap) -> None:
        """Write one shard that begins with this: until its time is over, the run is, or nothing came for as long."""
        self._waiting.appendleft(first)
        begins_us = first.stop_us if isinstance(first, Gap) else first.ref.timestamp_us or 0
        shard = Shard(f"{self.stream.info.source_id}-{begins_us:016d}", self.stream.info, 0, ())
        with self.store.writer(shard, self.source.digest) as writer:
            writer.begin_us, writer.end_us = self._covered_us or begins_us, begins_us  # shards of a run leave no hole between them
            tally = Tally(shard, writer, self.judge, len(self.counted.pixels))
            groups = in_batches(self._until_due(begins_us, writer), lambda: self.worker.batch_size)
            for results in side_by_side(
                lambda p: segment(p, self.worker, self.infer, self.source.regions), groups, self.worker.lanes,
                self.worker.enter_lane, self.half, bytes_of_group,
            ):  # fmt: skip
                since = time.perf_counter()
                done, failed = tally.add(results)
                self.write.add(since)
                if self.on_frames:
                    self.on_frames(done, failed)
            self._add_gap(writer, self.inbox.take_lag())
            since = time.perf_counter()
        self.write.add(since)  # the commit
        self._covered_us = writer.end_us
        self.counted.add(tally, writer)
        log.info("%s: committed %d frames", shard.name, writer.frames)

    def _until_due(self, begins_us: int, writer: ShardWriter) -> Iterator[Input]:
        """A shard's frames; its gaps go to the writer."""
        due_us, due_s = begins_us + round(self.job.stream.shard_s * 1e6), time.monotonic() + self.job.stream.shard_s
        while not isinstance(item := self._next(due_s), End):
            if isinstance(item, Gap):
                self._add_gap(writer, item)
                continue
            time_us = item.ref.timestamp_us or 0
            if time_us >= due_us or time.monotonic() >= due_s:
                self._waiting.appendleft(item)
                return
            self._passed(item, time_us)
            writer.end_us = max(writer.end_us, time_us)
            yield item

    def _passed(self, item: Input, time_us: int) -> None:
        if self.counted.seen:
            self.step.add((time_us - self.last_us) / 1e6)
        self.counted.seen += 1
        self.last_us, self.last_pts_s, self.last_s = time_us, item.ref.pts_s or 0.0, time.monotonic()

    def _add_gap(self, writer: ShardWriter, gap: Gap | None) -> None:
        if gap is not None:
            writer.gaps.append(gap_row(self.stream.info.source_id, gap))
            writer.begin_us, writer.end_us = min(writer.begin_us, gap.start_us), max(writer.end_us, gap.stop_us)
            self.counted.add_gap(gap)

    def _last_gap(self) -> Gap | None:
        """The gap that the run ends in: the stream was away, or gave nothing for too long."""
        gap, silent_s = self.inbox.away(), self._silent_s
        if gap is None and self._ended is None:
            if not self.counted.seen:
                gap = Gap("connect", self.span.begin_us, self.span.begin_us + round(silent_s * 1e6), reason="no frame came")
            elif silent_s > self.step.longest_s and self.job.stream.clock == "arrival":
                gap = Gap("stall", self.last_us, self.last_us + round(silent_s * 1e6), self.last_pts_s, reason="no frames came")
        if gap is None:
            return None
        stop_us = gap.stop_us if self.span.end_us is None else min(gap.stop_us, self.span.end_us)
        return replace(gap, stop_us=stop_us) if stop_us > gap.start_us else None
