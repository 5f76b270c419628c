"""How fast each stage is alone, how fast the pipeline is, and how near that comes to what the
machine allows."""

from __future__ import annotations

import functools
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from segpipe.core.config.job import Job
from segpipe.core.errors import ConfigError, SourceError
from segpipe.core.results import FrameResult
from segpipe.core.types import Frame, FrameBatch, ModelInput, Shard
from segpipe.inference.engines.cores import usable_cores
from segpipe.inference.measures.base import MeasureContext
from segpipe.inference.measures.measuring import SourceMeasures, picture_meter
from segpipe.inference.worker import SegmentationWorker
from segpipe.pipeline.bench_report import BenchReport, Stage
from segpipe.pipeline.prepare import load_worker
from segpipe.pipeline.probe import probe
from segpipe.pipeline.probe.streams import with_parts
from segpipe.pipeline.settings import FrameSettings
from segpipe.pipeline.shard import run_shard
from segpipe.pipeline.source_context import SourceContext, load_source_context
from segpipe.pipeline.stages import in_batches, prepare
from segpipe.runtime.threads import ordered_parallel_map
from segpipe.sources import discover, open_shard, plan, refs_of, source_of
from segpipe.sources.decoding import Decoding
from segpipe.store import Store, make_manifest


def measure(job: Job, frames: int, rounds: int) -> BenchReport:
    """Measure on the first `frames` frames of the job's first readable source. Raises SourceError
    where there is none."""
    worker = load_worker(job.model, job.worker)
    shard = first_frames(job, frames)
    with tempfile.TemporaryDirectory(prefix="segpipe-bench-") as folder:
        store = _dataset(Path(folder), job, shard, worker)
        settings = FrameSettings.of(job)
        source = load_source_context(store.root, shard.source.source_id, settings)
        inputs, size = _inputs(shard, settings, worker, source)
        # Also compiles and warms what is compiled and cached.
        results = _model(inputs, worker, source)
        stages: dict[str, Callable[[], object]] = {
            "decode": lambda: _inputs(shard, settings, worker, source),
            "model": lambda: _model(inputs, worker, source),
            "write": lambda: _write(results, shard, store),
            "pipeline": lambda: run_shard(shard, settings, worker, store),
        }
        decode, model, write, pipeline = _medians(stages, len(inputs), rounds)
    limit = _limit(decode, model, write, worker)
    fps = 1000.0 / pipeline.wall_ms
    height, width = inputs[0].pixels.shape[:2]
    return BenchReport(
        shard.source.uri,
        worker.device,
        usable_cores(),
        worker.lanes,
        worker.batch_size,
        len(inputs),
        rounds,
        size,
        (width, height),
        decode,
        model,
        write,
        fps,
        limit,
        fps / limit,
    )


def _dataset(folder: Path, job: Job, shard: Shard, worker: SegmentationWorker) -> Store:
    """A dataset for the shard, its source probed."""
    spec = worker.segmenter.spec
    store = Store(folder, job.store, spec.classes)
    store.prepare(make_manifest(job, spec, worker.precision))
    probe(job, with_parts(job, discover((shard.source.uri,)), None), store.root)
    return store


def first_frames(job: Job, frames: int) -> Shard:
    """One shard of the first frames of the first readable source. Raises SourceError and
    ConfigError."""
    if job.sampling.every_m:
        raise ConfigError("bench measures frames in a row: leave sampling.every_m out")
    # As one shard, that they may be any number
    store = job.store.model_copy(update={"frames_per_shard": sys.maxsize})
    whole = job.model_copy(update={"store": store})
    shards = plan(whole, with_parts(job, discover(job.inputs, follow_links=job.follow_links), None))
    readable = [s for s in shards if not s.unreadable]
    if not readable:
        raise SourceError(f"{shards[0].source.uri}: {shards[0].unreadable}")
    shard = readable[0]
    if source_of(shard.source.kind).files_are_frames:
        files = shard.files[:frames]
        return replace(shard, files=files, frame_count=len(files))
    wanted = [ref.frame_index or 0 for ref, _ in refs_of(shard, job.sampling)][:frames]
    return replace(shard, start=0, stop=wanted[-1] + 1, frame_count=len(wanted))


def _inputs(
    shard: Shard, settings: FrameSettings, worker: SegmentationWorker, source: SourceContext
) -> tuple[list[ModelInput], tuple[int, int]]:
    """The shard's frames at the network's size, and their own width and height. Raises SourceError
    where there are none."""
    found, size = [], (0, 0)
    decoding = Decoding(worker.decode_threads, settings.read.max_pixels)
    frames = open_shard(shard, settings.sampling, decoding, source.locator)
    meter = picture_meter(MeasureContext(source.regions, settings.quality))
    for item in prepare(
        (f for f in frames if isinstance(f, Frame)), worker.segmenter.spec.preprocessing, meter
    ):
        if isinstance(item, ModelInput):
            found.append(item)
            size = (item.view.width, item.view.height)
    if not found:
        raise SourceError(f"{shard.source.uri}: no frame of it can be decoded")
    return found, size


def _model(
    inputs: list[ModelInput], worker: SegmentationWorker, source: SourceContext
) -> list[FrameResult]:
    groups = in_batches(inputs, lambda: worker.batch_size)
    run = functools.partial(worker.run, regions=source.regions)
    batches = (FrameBatch(tuple(i for i in g if isinstance(i, ModelInput))) for g in groups)
    return [
        result
        for results in ordered_parallel_map(run, batches, worker.lanes, worker.enter_lane)
        for result in results
    ]


def _write(results: list[FrameResult], shard: Shard, store: Store) -> None:
    measures = SourceMeasures(MeasureContext())
    with store.writer(shard) as writer:
        for result in results:
            writer.add(measures.of(result))


def _medians(stages: dict[str, Callable[[], object]], frames: int, rounds: int) -> list[Stage]:
    """Each stage's median over the rounds, in which all stages take turns."""
    taken: dict[str, list[Stage]] = {name: [] for name in stages}
    for _ in range(rounds):
        for name, work in stages.items():
            taken[name].append(_stage(frames, work))
    return [_median(found) for found in taken.values()]


def _stage(frames: int, work: Callable[[], object]) -> Stage:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Stage(
        (time.process_time() - cpu) / frames * 1e3, (time.perf_counter() - wall) / frames * 1e3
    )


def _median(stages: list[Stage]) -> Stage:
    return Stage(
        statistics.median(s.cpu_ms for s in stages), statistics.median(s.wall_ms for s in stages)
    )


def _limit(decode: Stage, model: Stage, write: Stage, worker: SegmentationWorker) -> float:
    if worker.engine.uses_cpu:
        return usable_cores() * 1000.0 / (decode.cpu_ms + model.cpu_ms + write.cpu_ms)
    return 1000.0 / float(np.max([decode.wall_ms, model.wall_ms, write.wall_ms]))
