"""One stream recorded: its frames segmented and committed in shards that roll with time."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from segpipe.core.types import Shard
from segpipe.inference.measures.base import MeasureContext
from segpipe.inference.measures.measuring import SourceMeasures
from segpipe.pipeline.accumulator import ShardAccumulator
from segpipe.pipeline.lanes import Group, Lanes, Results, Timers
from segpipe.pipeline.live.counts import StreamCounts, StreamReport, gap_row
from segpipe.pipeline.live.frame_queue import End, Input
from segpipe.pipeline.live.limits import Span
from segpipe.pipeline.live.recording import (
    RecordingSettings,
    bytes_in_work,
    inbox_of,
    request_of,
)
from segpipe.pipeline.live.stream_reader import StreamReader
from segpipe.pipeline.live.window import RecordingWindow
from segpipe.pipeline.shard import OnFrames
from segpipe.pipeline.source_context import load_source_context
from segpipe.pipeline.stages import in_batches
from segpipe.pipeline.totals import Totals
from segpipe.sources.stream.address import Stream
from segpipe.sources.stream.gaps import Gap
from segpipe.store import Store
from segpipe.store.shard_writer import ShardWriter
from segpipe.store.sources import read_source_metadata, write_source_metadata

if TYPE_CHECKING:  # it brings torch, which a run that finds nothing new doesn't need
    from segpipe.inference.worker import SegmentationWorker

log = logging.getLogger(__name__)


class Recorder:
    """Records one stream until its end, the end of the span, or `stop`; then the shard that is open
    is committed."""

    def __init__(
        self,
        stream: Stream,
        span: Span,
        recording: RecordingSettings,
        worker: SegmentationWorker,
        store: Store,
        stop: Callable[[], bool],
        on_frames: OnFrames | None = None,
    ) -> None:
        self.stream, self.span, self.worker, self.store = stream, span, worker, store
        self.settings, self.live = recording.frames, recording.stream
        self.source = load_source_context(store.root, stream.info.source_id, self.settings)
        self.bytes_in_work = bytes_in_work(recording, worker)
        self.inbox = inbox_of(recording, worker)
        self.intake = RecordingWindow(span, self.live, self.inbox, stop)
        measuring = MeasureContext(self.source.regions, self.settings.quality, in_sequence=True)
        self.feeder = StreamReader(
            request_of(stream, span, recording, worker, measuring), self.inbox
        )
        self.measures = SourceMeasures(measuring)
        self.timers = Timers()
        self.counts = StreamCounts(Totals.of(len(worker.segmenter.spec.classes)))
        self.on_frames, self._covered_us = on_frames, 0

    def run(self) -> StreamReport:
        """Record. What ends the stream itself is in the report; what ends the writing is raised."""
        began = time.perf_counter()
        self.feeder.start()
        try:
            starts_us = self.intake.begin()
            if starts_us is not None:
                self._starts(starts_us)
            while not isinstance(first := self.intake.next(), End):
                self._record(first)
            self._finish([*self.intake.left(), self.intake.last_gap()])
        finally:
            self.inbox.close()
            self.feeder.join(1.0)
        seconds = self.timers.seconds(self.feeder.seconds, time.perf_counter() - began)
        error = self.intake.ended.error if self.intake.ended is not None else None
        return self.counts.report(self.stream.info.source_id, seconds, error)

    def _starts(self, time_us: int) -> None:
        """Note in the table `sources` when the stream's seconds begin."""
        facts = read_source_metadata(self.store.root, self.stream.info.source_id)
        if facts is not None:
            write_source_metadata(self.store.root, replace(facts, start_us=time_us))
            self.source = load_source_context(
                self.store.root, self.stream.info.source_id, self.settings
            )

    def _record(self, first: Input | Gap) -> None:
        """Write one shard that begins with this: until its time is over, the run is, or nothing
        came for as long."""
        self.intake.put_back(first)
        begins_us = first.stop_us if isinstance(first, Gap) else first.ref.timestamp_us or 0
        shard = self._shard(begins_us)
        with self.store.writer(shard, self.source.facts_digest) as writer:
            # Shards of a run leave no hole between them.
            writer.begin_us = writer.end_us = self._covered_us or begins_us
            accumulator = ShardAccumulator(writer, self.measures, self.counts.totals)
            groups = in_batches(self._until_due(begins_us, writer), lambda: self.worker.batch_size)
            lanes = Lanes(self.worker, self.timers.infer, self.source.regions, self.bytes_in_work)
            for results in lanes.results(groups, self._drop_if_over):
                self._add(accumulator, results)
            for gap in self.intake.left() if self.intake.limits.over() else [self.inbox.take_lag()]:
                self._add_gap(writer, gap)
            since = time.perf_counter()
        self.timers.write.add(since)  # the commit
        self._covered_us = writer.end_us
        self.counts.shards += 1
        log.info("%s: committed %d frames", shard.name, writer.frames)

    def _shard(self, begins_us: int) -> Shard:
        return Shard(f"{self.stream.info.source_id}-{begins_us:016d}", self.stream.info, 0, ())

    def _drop_if_over(self, group: Group) -> bool:
        """Count a group as dropped where the run is over before a lane came to it."""
        over = self.intake.limits.over()
        for item in group if over else ():
            self.intake.dropped.add(item.ref)
        return over

    def _add(self, accumulator: ShardAccumulator, results: Results) -> None:
        if not results:
            return
        since, writer = time.perf_counter(), accumulator.writer
        # What isn't written isn't covered.
        writer.end_us = max(writer.end_us, *(r.ref.timestamp_us or 0 for r in results))
        done, failed = accumulator.add(results)
        self.timers.write.add(since)
        if self.on_frames:
            self.on_frames(done, failed)

    def _until_due(self, begins_us: int, writer: ShardWriter) -> Iterator[Input]:
        """A shard's frames; its gaps go to the writer."""
        due_us = begins_us + round(self.live.shard_s * 1e6)
        due_s = time.monotonic() + self.live.shard_s
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
        """Write a gap. One of lag has frames within it, or frames that come after it were dropped
        too: it covers no time."""
        if gap is None:
            return
        writer.gaps.append(gap_row(self.stream.info.source_id, gap))
        if gap.kind != "lag":
            writer.begin_us = min(writer.begin_us, gap.start_us)
            writer.end_us = max(writer.end_us, gap.stop_us)
        self.counts.add_gap(gap)

    def _finish(self, gaps: list[Gap | None]) -> None:
        """Write what the run ends in, where no shard is open for it, as one without frames."""
        if not (found := [g for g in gaps if g is not None]):
            return
        shard = self._shard(max(g.stop_us for g in found))
        with self.store.writer(shard, self.source.facts_digest) as writer:
            writer.begin_us = writer.end_us = self._covered_us or min(g.start_us for g in found)
            for gap in found:
                self._add_gap(writer, gap)
        self.counts.shards += 1
