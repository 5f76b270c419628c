"""What it costs to know a file by its content.

    python -m tests.benchmarks.fingerprints CLIP

Prints the milliseconds of a fingerprint of the clip, and of a file of 4 GB, with their pages in
memory and without; and the share of a run over the clip (model `fake:`, the quickest there is).
Exits with 1 where that is over the limits.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from segpipe.core.config.job import make_job
from segpipe.pipeline.run import run_job
from segpipe.sources.fingerprint import fingerprint

LIMIT_MS, LIMIT_SHARE = 10.0, 0.01
ROUNDS = 20
LARGE_BYTES, STEP_BYTES = 4 * 10**9, 10**7


def milliseconds(path: Path, cold: bool) -> float:
    """The median time of a fingerprint."""
    taken = []
    for _ in range(ROUNDS):
        if cold:
            drop_pages(path)
        began = time.perf_counter()
        fingerprint(path, path.stat().st_size)
        taken.append((time.perf_counter() - began) * 1e3)
    return statistics.median(taken)


def drop_pages(path: Path) -> None:
    """Let the system forget what it holds of a file in memory."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def make_large(path: Path) -> Path:
    """A file with something in each ten megabytes."""
    with path.open("wb") as file:
        for place in range(0, LARGE_BYTES, STEP_BYTES):
            file.seek(place)
            file.write(os.urandom(64 * 1024))
    return path


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("clip", type=Path)
    clip = parser.parse_args().clip
    with tempfile.TemporaryDirectory() as folder:
        large = make_large(Path(folder) / "large.mp4")
        slowest = 0.0
        for name, path in (("clip", clip), ("4 GB", large)):
            warm, cold = milliseconds(path, cold=False), milliseconds(path, cold=True)
            slowest = max(slowest, warm, cold)
            print(f"{name:5} {warm:6.2f} ms, {cold:6.2f} ms from the disk")
        content = {"inputs": [str(clip)], "output": f"{folder}/out", "model": {"source": "fake:"}}
        began = time.process_time()
        report = run_job(make_job(content))
        run_s = time.process_time() - began + report.total("read_s")
    share = milliseconds(clip, cold=False) / 1e3 / run_s
    print(f"of a run of {report.frames} frames with the model fake: {share * 100:.2f} %")
    return 0 if slowest <= LIMIT_MS and share <= LIMIT_SHARE else 1


if __name__ == "__main__":
    sys.exit(main())
