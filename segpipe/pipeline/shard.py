"""One shard through the whole path: read → batch → segment → write, overlapped, each stage
timed."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from segpipe.core.text import counted
from segpipe.core.types import Shard
from segpipe.inference.measures.base import MeasureContext
from segpipe.inference.measures.measuring import PictureMeter, SourceMeasures, picture_meter
from segpipe.pipeline.accumulator import ShardAccumulator
from segpipe.pipeline.lanes import Lanes, Timers
from segpipe.pipeline.read import ReadRequest, ShardReader, ShardReaderHere
from segpipe.pipeline.settings import FrameSettings
from segpipe.pipeline.source_context import SourceContext, load_source_context
from segpipe.pipeline.stages import bytes_of_group, in_batches
from segpipe.pipeline.totals import Seconds, Totals
from segpipe.runtime import isolation, stopping
from segpipe.runtime.threads import prefetch
from segpipe.sources import source_of
from segpipe.sources.decoding import Decoding
from segpipe.sources.shards import shard_label
from segpipe.store import Store

if TYPE_CHECKING:  # it brings torch, which a run that finds nothing new doesn't need
    from segpipe.inference.worker import SegmentationWorker

log = logging.getLogger(__name__)
OnFrames = Callable[[int, int], None]
"""Called with the number of frames done and of frames failed since the last call."""


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What a shard came to."""

    name: str
    source_id: str
    totals: Totals
    seconds: Seconds


def run_shard(
    shard: Shard,
    settings: FrameSettings,
    worker: SegmentationWorker,
    store: Store,
    on_frames: OnFrames | None = None,
) -> ShardReport:
    """Read, segment and write one shard; it is in the dataset whole when this returns, and not at
    all when it raises. Raises Stopped soon after the run was asked to end."""
    stopping.check()
    began, timers = time.perf_counter(), Timers()
    source = load_source_context(store.root, shard.source.source_id, settings).of_shard(shard)
    in_sequence = source_of(shard.source.kind).in_sequence
    measuring = MeasureContext(source.regions, settings.quality, in_sequence)
    reader = reader_of(shard, settings, worker, source, picture_meter(measuring))
    half = worker.max_memory // 2 if worker.max_memory else None
    lanes = Lanes(worker, timers.infer, source.regions, half)
    groups = in_batches(reader.frames(), lambda: worker.batch_size)
    ahead = prefetch(groups, worker.lanes, half, bytes_of_group, reader.cancel)
    writing = store.writer(shard, source.facts_digest, source.ego_digest)
    with writing as writer, contextlib.closing(ahead) as packets:
        accumulator = ShardAccumulator(
            writer,
            SourceMeasures(measuring),
            Totals.of(len(worker.segmenter.spec.classes)),
            shard.before,
        )
        for results in lanes.results(packets):
            since = time.perf_counter()
            done, failed = accumulator.add(results)
            timers.write.add(since)
            if on_frames:
                on_frames(done, failed)
            stopping.check()
        since = time.perf_counter()
    timers.write.add(since)  # the commit
    seconds = timers.seconds(reader.seconds, time.perf_counter() - began)
    frames = counted(accumulator.totals.frames, "frame")
    log.info("%s: committed %s in %.1f s", shard_label(shard), frames, seconds.wall_s)
    return ShardReport(shard.name, shard.source.source_id, accumulator.totals, seconds)


def reader_of(
    shard: Shard,
    settings: FrameSettings,
    worker: SegmentationWorker,
    source: SourceContext,
    meter: PictureMeter | None,
) -> ShardReader | ShardReaderHere:
    """What reads a shard: a child process, or this one if the job or the platform requires it."""
    request = ReadRequest(
        shard,
        settings.sampling,
        Decoding(worker.decode_threads, settings.read.max_pixels),
        worker.segmenter.spec.preprocessing,
        source.locator,
        meter,
    )
    if settings.read.isolate and isolation.POSSIBLE:
        return ShardReader(request, settings.read)
    return ShardReaderHere(request)
