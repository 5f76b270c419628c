"""One shard through the whole path: read → batch → segment → write, overlapped, each stage timed."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from segpipe import isolation, stopping
from segpipe.config import Job
from segpipe.frames import FrameFailure, Shard
from segpipe.overlap import read_ahead, side_by_side
from segpipe.quality import Judge
from segpipe.reading import ReadRequest, ShardReader, ShardReaderHere
from segpipe.regions import Regions
from segpipe.results import FrameResult
from segpipe.sources.decoding import Decoding
from segpipe.stages import Clock, bytes_of_group, in_batches, segment
from segpipe.store import Store
from segpipe.store.known import locator_of
from segpipe.store.shard_writer import ShardWriter
from segpipe.telemetry.locate import Locator
from segpipe.worker import SegmentationWorker

OnFrames = Callable[[int, int], None]
"""Called with the number of frames done and of frames failed since the last call."""


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What a shard came to. Stage seconds are busy time: reading and writing on one thread each, inference summed over
    the lanes. `pixels` holds the pixel count of each class; `placed` frames have a position, `usable` ones pass the thresholds."""

    name: str
    source_id: str
    frames: int = 0
    failed: int = 0
    read_s: float = 0.0
    infer_s: float = 0.0
    write_s: float = 0.0
    wall_s: float = 0.0
    pixels: tuple[int, ...] = ()
    placed: int = 0
    usable: int = 0


def run_shard(shard: Shard, job: Job, worker: SegmentationWorker, store: Store, on_frames: OnFrames | None = None) -> ShardReport:
    """Read, segment and write one shard; it is in the dataset whole when this returns, and not at all when it raises. Raises
    Stopped soon after the run was asked to end."""
    stopping.check()
    began = time.perf_counter()
    infer, write = Clock(), Clock()
    source = known_of(shard, job, store)
    reader = reader_of(shard, job, worker, source)
    half = worker.max_memory // 2 if worker.max_memory else None
    groups = in_batches(reader.frames(), lambda: worker.batch_size)
    ahead = read_ahead(groups, worker.lanes, half, bytes_of_group, reader.cancel)
    with store.writer(shard, source.digest, source.ego) as writer, contextlib.closing(ahead) as packets:
        tally = Tally(shard, writer, Judge(job.quality, shard.source.kind == "video"), len(worker.segmenter.spec.classes))
        for results in side_by_side(
            lambda p: segment(p, worker, infer, source.regions), packets, worker.lanes, worker.enter_lane, half, bytes_of_group
        ):
            since = time.perf_counter()
            done, failed = tally.add(results)
            write.add(since)
            if on_frames:
                on_frames(done, failed)
            stopping.check()
        since = time.perf_counter()
    write.add(since)  # the commit
    seconds = (reader.seconds, infer.seconds, write.seconds, time.perf_counter() - began)
    name, source_id, pixels = shard.name, shard.source.source_id, tuple(int(n) for n in tally.pixels)
    return ShardReport(name, source_id, writer.frames, writer.failed, *seconds, pixels, tally.placed, tally.usable)


def reader_of(shard: Shard, job: Job, worker: SegmentationWorker, source: KnownSource) -> ShardReader | ShardReaderHere:
    """What reads a shard: a child process, or this one where the job or the system will have it so."""
    decoding, preprocessing = Decoding(worker.decode_threads, job.read.max_pixels), worker.segmenter.spec.preprocessing
    metered = source.regions if job.quality.measure else None
    request = ReadRequest(shard, job.sampling, decoding, preprocessing, source.locator, metered)
    return ShardReader(request, job.read) if job.read.isolate and isolation.POSSIBLE else ShardReaderHere(request)


class Tally:
    """Judges and writes what comes out of the lanes, and counts it."""

    def __init__(self, shard: Shard, writer: ShardWriter, judge: Judge, classes: int) -> None:
        self.shard, self.writer, self.judge = shard, writer, judge
        self.pixels = np.zeros(classes, np.int64)
        self.placed = self.usable = 0
        self._begun = shard.before < 0

    def add(self, results: list[FrameResult | FrameFailure]) -> tuple[int, int]:
        """Write results; the number of frames written, and of failed ones among them. The lead-in is judged and not written."""
        if not self._begun and results and results[0].ref.frame_index == self.shard.before:
            first = results.pop(0)
            self.judge.missed() if isinstance(first, FrameFailure) else self.judge.verdict(first)
        self._begun = True
        failed = 0
        for item in results:
            self.placed += item.ref.position is not None
            if isinstance(item, FrameFailure):
                failed += 1
                self.judge.missed()
                self.writer.add(item)
                continue
            verdict = self.judge.verdict(item)
            self.writer.add(item, verdict)
            self.usable += verdict.usable
            self.pixels += item.statistics.pixel_count[0]
        return len(results), failed


@dataclass(frozen=True)
class KnownSource:
    """What a shard needs to know of its source: where its frames are, which pixels count, and the digests of the facts and of the
    ego mask behind."""

    locator: Locator
    regions: Regions
    digest: str
    ego: str = ""


def known_of(shard: Shard, job: Job, store: Store) -> KnownSource:
    """What the dataset's table `sources` and the job say of a shard's source."""
    locator = locator_of(store.root, shard.source.source_id)
    facts = locator.facts
    regions = Regions(job.regions, job.ignore_regions, facts.ego if facts is not None else None)
    if facts is None:
        return KnownSource(locator, regions, "")
    own = locator.only([f.name for f in shard.files]) if shard.source.kind == "images" else locator
    return KnownSource(own, regions, facts.digest(), facts.ego_digest())
