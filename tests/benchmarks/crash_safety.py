"""What crash safety costs: frames/s of the pipeline as it is, and without it, in turn in one run.

    python -m tests.benchmarks.crash_safety CLIP [--frames 100] [--rounds 5]

As it is: decoding in a child process; each file of a shard flushed to the disk, renamed, and its
folder flushed. Without: decoding in this process, and nothing flushed. Shards are small here
(`--shard`, default 50 frames), so that commits count more than they do by default. The least time
of the rounds counts, for on a shared machine all else is others' work.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

from segpipe.core.config.job import Job, make_job
from segpipe.core.types import Shard
from segpipe.inference.worker import SegmentationWorker
from segpipe.pipeline.bench import first_frames
from segpipe.pipeline.prepare import load_worker
from segpipe.pipeline.settings import FrameSettings
from segpipe.pipeline.shard import run_shard
from segpipe.sources import VideoFile
from segpipe.store import Store, make_manifest

LIMIT = 0.03


def shards_of(job: Job, frames: int, size: int) -> list[Shard]:
    """The first frames of the clip in shards of about `size`, on key frames."""
    whole = first_frames(job, frames)
    video = VideoFile.open(Path(whole.source.uri), job.sampling)
    return [s for s in video.shards(size) if s.stop <= whole.stop] or [
        replace(whole, name=f"{whole.name}-all")
    ]


def seconds(
    shards: list[Shard], job: Job, worker: SegmentationWorker, store: Store, flush: bool
) -> float:
    """Wall seconds for all shards."""
    since = time.perf_counter()
    if flush:
        for shard in shards:
            run_shard(shard, FrameSettings.of(job), worker, store)
    else:
        with patch.object(os, "fsync", lambda _: None):
            for shard in shards:
                run_shard(shard, FrameSettings.of(job), worker, store)
    return time.perf_counter() - since


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--shard", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=".") as folder:  # a disk, not a memory file system
        safe = make_job({"inputs": [str(args.clip)], "output": str(Path(folder) / "dataset")})
        bare = safe.model_copy(update={"read": safe.read.model_copy(update={"isolate": False})})
        worker = load_worker(safe.model)
        spec = worker.segmenter.spec
        store = Store(Path(safe.output), safe.store, spec.classes)
        store.prepare(make_manifest(safe, spec, worker.precision))
        shards = shards_of(safe, args.frames, args.shard)
        frames = sum(s.frame_count for s in shards)
        # Compiles, and starts the child: a run pays that once.
        seconds(shards[:1], safe, worker, store, True)
        taken: dict[bool, list[float]] = {True: [], False: []}
        for _ in range(args.rounds):
            for job, is_safe in ((safe, True), (bare, False)):
                taken[is_safe].append(seconds(shards, job, worker, store, is_safe))
    with_it, without = min(taken[True]), min(taken[False])
    print(
        f"{args.clip}: {frames} frames in {len(shards)} shards, {args.rounds} rounds in turn, "
        "the least times"
    )
    print(f"with crash safety     {frames / with_it:7.2f} frames/s")
    print(f"without               {frames / without:7.2f} frames/s")
    print(
        f"cost                  {(with_it / without - 1) * 100:7.1f} %  (limit {LIMIT * 100:.0f} %)"
    )
    return 0 if with_it / without - 1 <= LIMIT else 1


if __name__ == "__main__":
    raise SystemExit(main())
