"""Recording for the tests of streams: a job, a run of it here or in a process of its own, and what is in the dataset then."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from segpipe import open_dataset
from segpipe.config import Job, ModelSettings, WorkerSettings, make_job
from segpipe.live.run import run_streams
from segpipe.models import FakeSegmenter
from segpipe.run import prepared
from segpipe.run_report import RunReport, report_of_streams
from segpipe.verify import verify
from segpipe.worker import SegmentationWorker
from tests.conftest import ROOT


def stream_job(output: Path, *urls: str, stream: dict[str, Any] | None = None, isolate: bool = False, **other: Any) -> Job:
    """A job without a model to load. Reading is in this process where a test needn't know that it can be elsewhere."""
    settings = {"backoff_s": 0.2, "max_backoff_s": 0.4, "timeout_s": 5.0, **(stream or {})}
    content = {"inputs": list(urls), "output": str(output), "model": {"source": "fake:"}, "stream": settings}
    return make_job(content | {"read": {"isolate": isolate}} | other)


def record(job: Job, stop: Callable[[], bool] = lambda: False, segmenter: FakeSegmenter | None = None) -> RunReport:
    """Record until the job's end, or `stop`."""
    worker = SegmentationWorker(segmenter or FakeSegmenter(), ModelSettings(source="fake:"), WorkerSettings(lanes=1))
    with prepared(job, worker) as ready:
        return report_of_streams(ready, run_streams(ready.streams, job, ready.worker, ready.store, stop), 0.0)


class Background:
    """A recording in a thread, to look at while it runs."""

    def __init__(self, job: Job) -> None:
        self.over = threading.Event()
        self.report: RunReport | None = None
        self.thread = threading.Thread(target=self._work, args=(job,), daemon=True)
        self.thread.start()

    def _work(self, job: Job) -> None:
        self.report = record(job, self.over.is_set)

    def stop(self, within_s: float = 10.0) -> RunReport:
        self.over.set()
        self.thread.join(within_s)
        assert not self.thread.is_alive()
        assert self.report is not None
        return self.report


def command_line(*arguments: object, debug: bool = False, **environment: str) -> subprocess.Popen[str]:
    """`segpipe` in a process of its own."""
    command = [sys.executable, "-m", "segpipe", *(["--debug"] if debug else []), *map(str, arguments)]
    env = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.Popen(command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(condition: Callable[[], bool], within_s: float, what: str) -> None:
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, f"{what} didn't come in {within_s} s"
        time.sleep(0.05)


def committed(output: Path) -> int:
    return len(list((output / "frames").glob("*.parquet")))


def rows(output: Path, table: str, by: str) -> list[dict[str, Any]]:
    return sorted(open_dataset(output).arrow(table).to_pylist(), key=lambda r: r[by])


def frames_of(output: Path, whole: bool = True) -> list[dict[str, Any]]:
    """The rows of `frames` in the order of time, with what must hold of every stream's."""
    assert not whole or not verify(output).wrong
    found = rows(output, "frames", "frame_id")
    assert len({r["frame_id"] for r in found}) == len(found)
    assert [r["frame_id"] for r in found] == [f"{r['source_id']}:{round(r['timestamp'].timestamp() * 1e6):016d}" for r in found]
    return found


def gaps_of(output: Path) -> list[dict[str, Any]]:
    return rows(output, "gaps", "start")
