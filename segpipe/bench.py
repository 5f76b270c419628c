"""How fast each stage is alone, how fast the pipeline is, and how near that comes to what the machine allows."""

from __future__ import annotations

import functools
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from segpipe.config import Job
from segpipe.errors import ConfigError, SourceError
from segpipe.frames import Frame, FrameBatch, ModelInput, Shard
from segpipe.overlap import side_by_side
from segpipe.pipeline import KnownSource, known_of, run_shard
from segpipe.quality import QualityMeter
from segpipe.results import FrameResult
from segpipe.run import load_worker
from segpipe.sources import VideoFile, discover, open_shard, plan
from segpipe.sources.decoding import Decoding
from segpipe.sources.sampling import select
from segpipe.stages import in_batches, prepare
from segpipe.store import Store, make_manifest
from segpipe.survey import survey
from segpipe.worker import SegmentationWorker, usable_cores


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage alone: milliseconds of CPU time and of wall time for a frame."""

    cpu_ms: float
    wall_ms: float


@dataclass(frozen=True, slots=True)
class BenchReport:
    """Medians over the rounds. `limit_fps`: on a CPU, cores ÷ CPU seconds per frame of the three stages; on a GPU, the
    slowest stage's rate. `of_limit` is the pipeline's share of it."""

    source: str
    device: str
    cores: int
    lanes: int
    batch_size: int
    frames: int
    rounds: int
    frame_size: tuple[int, int]
    input_size: tuple[int, int]
    decode: Stage
    model: Stage
    write: Stage
    pipeline_fps: float
    limit_fps: float
    of_limit: float

    def as_dict(self) -> dict[str, Any]:
        """In JSON types."""
        return asdict(self)


def measure(job: Job, frames: int, rounds: int) -> BenchReport:
    """Measure on the first `frames` frames of the job's first readable source. Raises SourceError where there is none."""
    worker = load_worker(job.model, job.worker)
    shard = first_frames(job, frames)
    spec = worker.segmenter.spec
    taken: dict[str, list[Stage]] = {"decode": [], "model": [], "write": [], "pipeline": []}
    with tempfile.TemporaryDirectory(prefix="segpipe-bench-") as folder:
        store = Store(Path(folder), job.store, spec.classes)
        store.prepare(make_manifest(job, spec, worker.precision))
        survey(job, discover((shard.source.uri,)), store.root)
        source = known_of(shard, job, store)
        inputs, size = _inputs(shard, job, worker, source)
        if not inputs:
            raise SourceError(f"{shard.source.uri}: no frame of it can be decoded")
        results = _model(inputs, worker, source)  # also compiles and warms what is compiled and cached
        for _ in range(rounds):
            taken["decode"].append(_stage(len(inputs), lambda: _inputs(shard, job, worker, source)))
            taken["model"].append(_stage(len(inputs), lambda: _model(inputs, worker, source)))
            taken["write"].append(_stage(len(inputs), lambda: _write(results, shard, store)))
            taken["pipeline"].append(_stage(len(inputs), lambda: run_shard(shard, job, worker, store)))
    decode, model, write, pipeline = (_median(taken[n]) for n in ("decode", "model", "write", "pipeline"))
    limit = _limit(decode, model, write, worker)
    fps = 1000.0 / pipeline.wall_ms
    height, width = inputs[0].pixels.shape[:2]
    return BenchReport(
        shard.source.uri, str(worker.device), usable_cores(), worker.lanes, worker.batch_size, len(inputs), rounds,
        size, (width, height), decode, model, write, fps, limit, fps / limit,
    )  # fmt: skip


def first_frames(job: Job, frames: int) -> Shard:
    """One shard of the first frames of the first readable source. Raises SourceError and ConfigError."""
    if job.sampling.every_m:
        raise ConfigError("bench measures frames in a row: leave sampling.every_m out")
    shards = plan(job)
    readable = [s for s in shards if not s.unreadable]
    if not readable:
        raise SourceError(f"{shards[0].source.uri}: {shards[0].unreadable}")
    shard = readable[0]
    if shard.source.kind == "images":
        files = shard.files[:frames]
        return replace(shard, files=files, frame_count=len(files))
    wanted = select(VideoFile.at(Path(shard.source.uri), job.sampling).index, job.sampling)[:frames]
    return replace(shard, start=0, stop=int(wanted[-1]) + 1, frame_count=len(wanted))


def _inputs(shard: Shard, job: Job, worker: SegmentationWorker, source: KnownSource) -> tuple[list[ModelInput], tuple[int, int]]:
    found, size = [], (0, 0)
    frames = open_shard(shard, job.sampling, Decoding(worker.decode_threads, job.read.max_pixels), source.locator)
    meter = QualityMeter(source.regions) if job.quality.measure else None
    for item in prepare((f for f in frames if isinstance(f, Frame)), worker.segmenter.spec.preprocessing, meter):
        if isinstance(item, ModelInput):
            found.append(item)
            size = (item.view.width, item.view.height)
    return found, size


def _model(inputs: list[ModelInput], worker: SegmentationWorker, source: KnownSource) -> list[FrameResult]:
    groups = in_batches(inputs, lambda: worker.batch_size)
    run = functools.partial(worker.run, regions=source.regions)
    batches = (FrameBatch(tuple(i for i in g if isinstance(i, ModelInput))) for g in groups)
    return [result for results in side_by_side(run, batches, worker.lanes, worker.enter_lane) for result in results]


def _write(results: list[FrameResult], shard: Shard, store: Store) -> None:
    with store.writer(shard) as writer:
        for result in results:
            writer.add(result)


def _stage(frames: int, work: Callable[[], object]) -> Stage:
    cpu, wall = time.process_time(), time.perf_counter()
    work()
    return Stage((time.process_time() - cpu) / frames * 1e3, (time.perf_counter() - wall) / frames * 1e3)


def _median(stages: list[Stage]) -> Stage:
    return Stage(statistics.median(s.cpu_ms for s in stages), statistics.median(s.wall_ms for s in stages))


def _limit(decode: Stage, model: Stage, write: Stage, worker: SegmentationWorker) -> float:
    if worker.device.type == "cpu":
        return usable_cores() * 1000.0 / (decode.cpu_ms + model.cpu_ms + write.cpu_ms)
    return 1000.0 / float(np.max([decode.wall_ms, model.wall_ms, write.wall_ms]))


def as_text(r: BenchReport) -> str:
    """A small table for people."""
    rows = [f"{name:8} {s.cpu_ms:9.2f} {s.wall_ms:9.2f} {1000 / s.wall_ms:9.1f}" for name, s in
            (("decode", r.decode), ("model", r.model), ("write", r.write))]  # fmt: skip
    return "\n".join(
        [
            f"{r.source}: {r.frames} frames of {r.frame_size[0]}x{r.frame_size[1]}, network input "
            f"{r.input_size[0]}x{r.input_size[1]}, {r.rounds} rounds",
            f"{r.device}, {r.cores} cores, {r.lanes} lanes, batches of {r.batch_size}",
            "",
            "alone      CPU ms   wall ms  frames/s",
            *rows,
            "",
            f"pipeline {r.pipeline_fps:8.2f} frames/s",
            f"limit    {r.limit_fps:8.2f} frames/s",
            f"pipeline / limit = {r.of_limit:.3f}",
        ]
    )
