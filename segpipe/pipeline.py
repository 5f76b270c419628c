"""One shard through the whole path: read → batch → segment → write, overlapped, each stage timed."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

import cv2

from segpipe.config import Job
from segpipe.errors import ModelError, one_line
from segpipe.frames import Frame, FrameBatch, FrameFailure, ModelInput, Shard
from segpipe.models.preprocess import Preprocessing
from segpipe.overlap import read_ahead, side_by_side
from segpipe.quality import Judge, QualityMeter
from segpipe.regions import NO_REGIONS, Regions
from segpipe.results import FrameResult
from segpipe.sources import open_shard
from segpipe.store import Store
from segpipe.store.sources import read_facts
from segpipe.telemetry.locate import Locator
from segpipe.worker import SegmentationWorker

T = TypeVar("T")
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


@dataclass
class Clock:
    """Busy seconds of a stage, from several threads."""

    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, since: float) -> None:
        with self._lock:
            self.seconds += time.perf_counter() - since


def run_shard(shard: Shard, job: Job, worker: SegmentationWorker, store: Store, on_frames: OnFrames | None = None) -> ShardReport:
    """Read, segment and write one shard; it is in the dataset whole when this returns, and not at all when it raises."""
    began = time.perf_counter()
    read, infer, write = Clock(), Clock(), Clock()
    pixels, placed, usable = [0] * len(worker.segmenter.spec.classes), 0, 0
    source = known_of(shard, job, store)
    frames = itertools.chain(lead_in(shard, job, worker), open_shard(shard, job.sampling, worker.decode_threads, source.locator))
    prepared = timed(prepare(frames, worker.segmenter.spec.preprocessing, source.meter), read)
    ahead = read_ahead(in_batches(prepared, worker.batch_size), depth=worker.lanes)
    judge, led_in = Judge(job.quality, shard.source.kind == "video"), shard.before < 0
    with store.writer(shard, source.digest) as writer, contextlib.closing(ahead) as packets:
        for results in side_by_side(lambda p: segment(p, worker, infer, source.regions), packets, worker.lanes, worker.enter_lane):
            since = time.perf_counter()
            if not led_in and results and results[0].ref.frame_index == shard.before:
                first = results.pop(0)
                judge.missed() if isinstance(first, FrameFailure) else judge.verdict(first)
            led_in = True
            for item in results:
                placed += item.ref.position is not None
                if isinstance(item, FrameFailure):
                    judge.missed()
                    writer.add(item)
                    continue
                verdict = judge.verdict(item)
                writer.add(item, verdict)
                usable += verdict.usable
                pixels = [a + int(b) for a, b in zip(pixels, item.statistics.pixel_count[0], strict=True)]
            write.add(since)
            if on_frames:
                on_frames(len(results), sum(isinstance(r, FrameFailure) for r in results))
        since = time.perf_counter()
    write.add(since)  # the commit
    seconds = (read.seconds, infer.seconds, write.seconds, time.perf_counter() - began)
    return ShardReport(shard.name, shard.source.source_id, writer.frames, writer.failed, *seconds, tuple(pixels), placed, usable)


def lead_in(shard: Shard, job: Job, worker: SegmentationWorker) -> Iterator[Frame | FrameFailure]:
    """The wanted frame before a video's shard. It is segmented and not written: with it, what is said of the shard's first frame
    doesn't depend on where the shards are cut."""
    if shard.before >= 0:
        one = replace(shard, start=shard.before, stop=shard.before + 1, chosen=(shard.before,))
        yield from open_shard(one, job.sampling, worker.decode_threads)


@dataclass(frozen=True)
class KnownSource:
    """What a shard needs to know of its source: where its frames are, which pixels count, and the digest of the facts behind."""

    locator: Locator
    regions: Regions
    meter: QualityMeter | None
    digest: str


def known_of(shard: Shard, job: Job, store: Store) -> KnownSource:
    """What the dataset's table `sources` and the job say of a shard's source."""
    facts = read_facts(store.root, shard.source.source_id)
    regions = Regions(job.regions, job.ignore_regions, facts.ego if facts is not None else None)
    meter = QualityMeter(regions) if job.quality.measure else None
    return KnownSource(Locator(facts), regions, meter, facts.digest() if facts is not None else "")


def timed(items: Iterable[T], clock: Clock) -> Iterator[T]:
    """Pass items on; the time that each takes to come is added to the clock."""
    iterator = iter(items)
    while True:
        since = time.perf_counter()
        try:
            item = next(iterator)
        except StopIteration:
            return
        finally:
            clock.add(since)
        yield item


def prepare(
    items: Iterable[Frame | FrameFailure], preprocessing: Preprocessing, meter: QualityMeter | None = None
) -> Iterator[ModelInput | FrameFailure]:
    """Bring frames to the network's size and measure their quality; the full-size pixels end here."""
    for item in items:
        if isinstance(item, FrameFailure):
            yield item
            continue
        try:
            pixels, view = preprocessing.apply(item.rgb)
            yield ModelInput(item.ref, pixels, view, meter.measure(item.rgb) if meter is not None else None)
        except (ModelError, cv2.error, RuntimeError, ValueError) as error:
            yield FrameFailure(item.ref, f"can't be brought to the model's size ({one_line(error)})")


def in_batches(items: Iterable[ModelInput | FrameFailure], size: int) -> Iterator[list[ModelInput | FrameFailure]]:
    """Groups of neighbours in their order: at most `size`, inputs of one shape only. Failures travel along."""
    group: list[ModelInput | FrameFailure] = []
    shape: tuple[int, ...] | None = None
    for item in items:
        other = isinstance(item, ModelInput) and shape is not None and item.pixels.shape != shape
        if group and (other or len(group) >= size):
            yield group
            group, shape = [], None
        if isinstance(item, ModelInput):
            shape = item.pixels.shape
        group.append(item)
    if group:
        yield group


def segment(
    group: list[ModelInput | FrameFailure], worker: SegmentationWorker, clock: Clock, regions: Regions = NO_REGIONS
) -> list[FrameResult | FrameFailure]:
    """Segment a group's inputs; results and failures in the order of the group."""
    since = time.perf_counter()
    inputs = tuple(i for i in group if isinstance(i, ModelInput))
    results = iter(worker.run(FrameBatch(inputs), regions) if inputs else [])
    found = [next(results) if isinstance(i, ModelInput) else i for i in group]
    clock.add(since)
    return found
