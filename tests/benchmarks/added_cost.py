"""What time, place, regions and quality cost: the pipeline with all of them against the pipeline
without, in turns.

    python -m tests.benchmarks.added_cost CLIP [--frames N] [--rounds N]

Prints the time per frame of both and the share that is added; exits with 1 where that is more than
the limit. The survey (clocks, track, ego mask) is done once for a source, so that its time is given
apart.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from segpipe.core.config.job import Job, apply_sets, make_job
from segpipe.inference.worker import SegmentationWorker
from segpipe.pipeline.bench import first_frames
from segpipe.pipeline.prepare import load_worker
from segpipe.pipeline.probe import probe
from segpipe.pipeline.settings import FrameSettings
from segpipe.pipeline.shard import run_shard
from segpipe.sources import discover
from segpipe.store import Store, make_manifest

LIMIT = 0.10
OFF = ["regions.builtin=[]", "quality.measure=false", "track.order=[]", "time.order=[mtime]"]
ON = ["ego_mask=auto", "sampling.every_n=null"]


def job_with(clip: str, sets: list[str], model: str) -> Job:
    return make_job(
        apply_sets({"inputs": (clip,), "output": "bench"}, [*sets, f"model.source={model}"])
    )


def timed_run(job: Job, frames: int, worker: SegmentationWorker, root: Path) -> tuple[float, float]:
    """Milliseconds a frame of the pipeline, and seconds of the survey."""
    store = Store(root, job.store, worker.segmenter.spec.classes)
    store.prepare(make_manifest(job, worker.segmenter.spec, worker.precision))
    began = time.perf_counter()
    probe(job, discover(job.inputs), root)
    surveyed = time.perf_counter() - began
    report = run_shard(first_frames(job, frames), FrameSettings.of(job), worker, store)
    return report.seconds.wall_s / report.totals.frames * 1e3, surveyed


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("clip")
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--model", default="builtin:street")
    args = parser.parse_args()
    jobs = {
        "without": job_with(args.clip, OFF, args.model),
        "with": job_with(args.clip, ON, args.model),
    }
    worker = load_worker(jobs["with"].model, jobs["with"].worker)
    taken: dict[str, list[float]] = {name: [] for name in jobs}
    surveys: dict[str, list[float]] = {name: [] for name in jobs}
    for number in range(args.rounds + 1):
        for name, job in jobs.items():
            with tempfile.TemporaryDirectory() as folder:
                milliseconds, surveyed = timed_run(job, args.frames, worker, Path(folder))
            if number:  # the first round compiles and warms
                taken[name].append(milliseconds)
                surveys[name].append(surveyed)
    added = statistics.median(
        b / a - 1 for a, b in zip(taken["without"], taken["with"], strict=True)
    )
    for name in jobs:
        each = ", ".join(f"{t:.1f}" for t in taken[name])
        print(
            f"{name:8} {statistics.median(taken[name]):7.2f} ms a frame ({each}); survey "
            f"{statistics.median(surveys[name]):.2f} s"
        )
    print(f"added: {added * 100:.1f} % (limit {LIMIT * 100:.0f} %)")
    return 0 if added <= LIMIT else 1


if __name__ == "__main__":
    sys.exit(main())
