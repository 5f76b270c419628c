"""segpipe against a plain script with the same weights, in one run: frames/s of both, their ratio,
equal labels.

python tests/benchmarks/against_plain_script.py CLIP [--frames 100] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np

from segpipe.core.config.job import make_job
from segpipe.inference.models.builtin import BUILTIN
from segpipe.pipeline.bench import first_frames
from segpipe.pipeline.prepare import load_worker
from segpipe.pipeline.settings import FrameSettings
from segpipe.pipeline.shard import run_shard
from segpipe.sources.ids import indexed_frame_id
from segpipe.store import Store, make_manifest, open_dataset

SCRIPT = Path(__file__).with_name("plain_script.py")


def plain_environment() -> dict[str, str]:
    """The environment without what importing segpipe put into it."""
    return {k: v for k, v in os.environ.items() if k != "THP_MEM_ALLOC_ENABLE"}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clip", type=Path)
    parser.add_argument("--frames", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        ours, theirs, same = compare(args.clip, args.frames, args.rounds, Path(folder))
    print(f"\n{args.clip}: {args.frames} frames, {args.rounds} rounds in turn, medians")
    print(f"plain script  {theirs:7.2f} frames/s")
    print(f"segpipe       {ours:7.2f} frames/s")
    print(f"ratio         {ours / theirs:7.2f}")
    print(f"equal labels  {same * 100:7.3f} % of pixels")


def compare(clip: Path, frames: int, rounds: int, folder: Path) -> tuple[float, float, float]:
    """Frames/s of segpipe and of the plain script, and the share of pixels with equal labels."""
    job = make_job({"inputs": [str(clip)], "output": str(folder / "dataset")})
    worker = load_worker(job.model)
    spec = worker.segmenter.spec
    names = [c.name for c in spec.classes]
    store = Store(Path(job.output), job.store, spec.classes)
    store.prepare(make_manifest(job, spec, worker.precision))
    (folder / "plain").mkdir()
    run_shard(
        first_frames(job, 4), FrameSettings.of(job), worker, store
    )  # compiles; a user pays that once
    store.discard(first_frames(job, 4).name)
    shard = first_frames(job, frames)
    ours, theirs = [], []
    for _ in range(rounds):
        # In a process of its own, as a user would run it: nothing that segpipe sets reaches it.
        # Loading isn't counted.
        command = [
            sys.executable,
            str(SCRIPT),
            str(clip),
            str(BUILTIN / "street"),
            str(folder / "plain"),
            str(frames),
            *names,
        ]
        done = subprocess.run(
            command, capture_output=True, text=True, check=True, env=plain_environment()
        )
        theirs.append(frames / float(done.stdout.split()[-1]))
        began = time.perf_counter()
        run_shard(shard, FrameSettings.of(job), worker, store)
        ours.append(shard.frame_count / (time.perf_counter() - began))
    dataset = open_dataset(job.output)
    masks = [
        cv2.imread(str(p), cv2.IMREAD_GRAYSCALE) for p in sorted((folder / "plain").glob("*.png"))
    ]
    equal = [
        np.mean(dataset.mask(indexed_frame_id(shard.source.source_id, i)) == mask)
        for i, mask in enumerate(masks)
    ]
    return statistics.median(ours), statistics.median(theirs), float(np.mean(equal))


if __name__ == "__main__":
    main()
