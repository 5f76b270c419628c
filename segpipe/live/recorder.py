"""One stream recorded: its frames segmented and committed in shards that roll with time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from segpipe.config import Job
from segpipe.frames import FrameFailure, Shard
from segpipe.live.counts import Counted, StreamReport, gap_row
from segpipe.live.feeder import Feeder, FeedRequest
from segpipe.live.inbox import End, Inbox, Input
from segpipe.live.intake import Intake
from segpipe.live.limits import Span
from segpipe.overlap import side_by_side
from segpipe.pipeline import OnFrames, Tally, known_of
from segpipe.quality import Judge
from segpipe.results import FrameResult
from segpipe.sources.decoding import Decoding
from segpipe.sources.gaps import Gap
from segpipe.sources.live import LiveRequest
from segpipe.sources.streams import Stream
from segpipe.stages import Clock, bytes_of_group, in_batches, segment
from segpipe.store import Store
from segpipe.store.shard_writer import ShardWriter
from segpipe.store.sources import read_facts, write_facts
from segpipe.worker import SegmentationWorker

log = logging.getLogger(__name__)
_QUEUED, _QUEUED_BYTES = 32, 512 * 2**20
"""What may wait for the model: so many frames where the reader waits in turn, and so many bytes of frames in any case."""
Results = list[FrameResult | FrameFailure]


class Recorder:
    """Records one stream until its end, the end of the span, or `stop`; then the shard that is open is committed."""

    def __init__(
        self, stream: Stream, span: Span, job: Job, worker: SegmentationWorker, store: Store, stop: Callable[[], bool],
        on_frames: OnFrames | None = None,
    ) -> None:  # fmt: skip
        self.stream, self.span, self.job, self.worker, self.store = stream, span, job, worker, store
        self.source = known_of(Shard("", stream.info, 0, ()), job, store)
        in_work, share = 2 * worker.lanes * worker.batch_size, len(job.inputs)  # each stream has a recorder of its own here
        self.half = worker.max_memory // (2 * share) if worker.max_memory else None
        most_bytes = min(self.half or _QUEUED_BYTES, _QUEUED_BYTES // share)
        self.inbox = Inbox(_QUEUED + in_work, most_bytes, job.stream.on_lag == "drop", least=in_work)
        self.intake = Intake(span, job.stream, self.inbox, stop)
        self.feeder = Feeder(self._request(), self.inbox)
        self.judge = Judge(job.quality, in_sequence=True)
        self.infer, self.write = Clock(), Clock()
        self.counted = Counted(np.zeros(len(worker.segmenter.spec.classes), np.int64))
        self.on_frames, self._covered_us = on_frames, 0

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
            while not isinstance(first := self.intake.next(), End):
                self._record(first)
            self._finish([*self.intake.left(), self.intake.last_gap()])
        finally:
            self.inbox.close()
            self.feeder.join(1.0)
        seconds = (self.feeder.seconds, self.infer.seconds, self.write.seconds, time.perf_counter() - began)
        error = self.intake.ended.error if self.intake.ended is not None else None
        return self.counted.report(self.stream.info.source_id, seconds, error)

    def _begin(self) -> None:
        """Between the dataset's last shard and the first frame segpipe wasn't running; no gap is longer than it needs to be."""
        first, past, begin_us = self.intake.next(), self.span.past, self.span.begin_us
        if not isinstance(first, (End, Gap)):
            begin_us = min(begin_us, first.ref.timestamp_us or begin_us)
        away = None
        if begin_us > past.end_us > 0:
            start_s, stop_s = (past.seconds_at(t) if past.frame_us else None for t in (past.end_us, begin_us))
            away = Gap("not running", past.end_us, begin_us, start_s, stop_s, reason="segpipe wasn't running")
        if not past.frame_us and not isinstance(first, End):
            self._starts(first.stop_us if isinstance(first, Gap) else first.ref.timestamp_us or begin_us)
        for item in (first, away):
            if item is not None and not isinstance(item, End):
                self.intake.put_back(item)

    def _starts(self, time_us: int) -> None:
        """Note in the table `sources` when the stream's seconds begin."""
        facts = read_facts(self.store.root, self.stream.info.source_id)
        if facts is not None:
            write_facts(self.store.root, replace(facts, start_us=time_us))
            self.source = known_of(Shard("", self.stream.info, 0, ()), self.job, self.store)

    def _record(self, first: Input | Gap) -> None:
        """Write one shard that begins with this: until its time is over, the run is, or nothing came for as long."""
        self.intake.put_back(first)
        begins_us = first.stop_us if isinstance(first, Gap) else first.ref.timestamp_us or 0
        shard = self._shard(begins_us)
        with self.store.writer(shard, self.source.digest) as writer:
            writer.begin_us = writer.end_us = self._covered_us or begins_us  # shards of a run leave no hole between them
            tally = Tally(shard, writer, self.judge, len(self.counted.pixels))
            groups = in_batches(self._until_due(begins_us, writer), lambda: self.worker.batch_size)
            lanes, enter = self.worker.lanes, self.worker.enter_lane
            for results in side_by_side(self._segment, groups, lanes, enter, self.half, bytes_of_group):
                self._add(tally, results)
            for gap in self.intake.left() if self.intake.limits.over() else [self.inbox.take_lag()]:
                self._add_gap(writer, gap)
            since = time.perf_counter()
        self.write.add(since)  # the commit
        self._covered_us = writer.end_us
        self.counted.add(tally, writer)
        log.info("%s: committed %d frames", shard.name, writer.frames)

    def _shard(self, begins_us: int) -> Shard:
        return Shard(f"{self.stream.info.source_id}-{begins_us:016d}", self.stream.info, 0, ())

    def _segment(self, group: list[Input]) -> Results:
        """A group's results; none where the run is over before a lane came to it."""
        if not self.intake.limits.over():
            return segment(group, self.worker, self.infer, self.source.regions)
        for item in group:
            self.intake.dropped.add(item.ref)
        return []

    def _add(self, tally: Tally, results: Results) -> None:
        if not results:
            return
        since, writer = time.perf_counter(), tally.writer
        writer.end_us = max(writer.end_us, *(r.ref.timestamp_us or 0 for r in results))  # what isn't written isn't covered
        done, failed = tally.add(results)
        self.write.add(since)
        if self.on_frames:
            self.on_frames(done, failed)

    def _until_due(self, begins_us: int, writer: ShardWriter) -> Iterator[Input]:
        """A shard's frames; its gaps go to the writer."""
        due_us, due_s = begins_us + round(self.job.stream.shard_s * 1e6), time.monotonic() + self.job.stream.shard_s
        while not isinstance(item := self.intake.next(due_s), End):
            if isinstance(item, Gap):
                self._add_gap(writer, item)
                continue
            if (item.ref.timestamp_us or 0) >= due_us or time.monotonic() >= due_s:
                self.intake.put_back(item)
                return
            self.intake.passed(item)
            yield item

    def _add_gap(self, writer: ShardWriter, gap: Gap | None) -> None:
        """Write a gap. One of lag has frames within it, or frames that come after it were dropped too: it covers no time."""
        if gap is None:
            return
        writer.gaps.append(gap_row(self.stream.info.source_id, gap))
        if gap.kind != "lag":
            writer.begin_us, writer.end_us = min(writer.begin_us, gap.start_us), max(writer.end_us, gap.stop_us)
        self.counted.add_gap(gap)

    def _finish(self, gaps: list[Gap | None]) -> None:
        """Write what the run ends in, where no shard is open for it, as one without frames."""
        if not (found := [g for g in gaps if g is not None]):
            return
        shard = self._shard(max(g.stop_us for g in found))
        with self.store.writer(shard, self.source.digest) as writer:
            writer.begin_us = writer.end_us = self._covered_us or min(g.start_us for g in found)
            for gap in found:
                self._add_gap(writer, gap)
        self.counted.add(Tally(shard, writer, self.judge, len(self.counted.pixels)), writer)
