"""Recording for the tests of streams: a job, a run of it here or in a process of its own, and what
is in the dataset then."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pyarrow.parquet as pq

from segpipe import open_dataset
from segpipe.core.config.job import Job, ModelSettings, WorkerSettings, make_job
from segpipe.inference.models import FakeSegmenter
from segpipe.inference.worker import SegmentationWorker
from segpipe.pipeline.prepare import prepared
from segpipe.pipeline.reports import RunReport
from segpipe.pipeline.run import executor, run
from segpipe.verify import verify
from tests.clock import HANG_S, wait_until
from tests.conftest import ROOT


def stream_job(
    output: Path,
    *urls: str,
    stream: dict[str, Any] | None = None,
    isolate: bool = False,
    **other: Any,
) -> Job:
    """A job without a model to load. Reading is in this process where a test needn't know that it
    can be elsewhere. A slow server is waited for, and no frame is dropped, unless the test asks
    for that."""
    settings = {
        "backoff_s": 0.2,
        "max_backoff_s": 0.4,
        "timeout_s": HANG_S,
        "on_lag": "block",
        **(stream or {}),
    }
    content = {
        "inputs": list(urls),
        "output": str(output),
        "model": {"source": "fake:"},
        "stream": settings,
    }
    return make_job(content | {"read": {"isolate": isolate}} | other)


def record(
    job: Job, stop: Callable[[], bool] = lambda: False, segmenter: FakeSegmenter | None = None
) -> RunReport:
    """Record until the job's end, or `stop`."""
    worker = SegmentationWorker(
        segmenter or FakeSegmenter(),
        ModelSettings(source="fake:"),
        WorkerSettings(lanes=1, batch_size=1),
    )
    with prepared(job, worker) as found:
        ready = replace(found, stop=stop)
        with executor(ready) as submit:
            return run(ready, submit)


class Background:
    """A recording in a thread, to look at while it runs. `running` are those not yet stopped."""

    running: ClassVar[list[Background]] = []

    def __init__(self, job: Job, segmenter: FakeSegmenter | None = None) -> None:
        self.over, self.asked = threading.Event(), 0
        self.report: RunReport | None = None
        self.thread = threading.Thread(target=self._work, args=(job, segmenter), daemon=True)
        self.running.append(self)
        self.thread.start()

    def _work(self, job: Job, segmenter: FakeSegmenter | None) -> None:
        self.report = record(job, self._stops, segmenter)

    def _stops(self) -> bool:
        self.asked += 1
        return self.over.is_set()

    def looked_on(self) -> None:
        """Wait until the recording has seen what time it is now, and that it goes on."""
        before = self.asked
        wait_until(lambda: self.asked >= before + 3, "the recording to go on", self.thread.is_alive)

    def stop(self) -> RunReport:
        self.over.set()
        self.running.remove(self)
        self.thread.join(HANG_S)
        assert not self.thread.is_alive()
        assert self.report is not None
        return self.report


def command_line(
    *arguments: object, debug: bool = False, **environment: str
) -> subprocess.Popen[str]:
    """`segpipe` in a process of its own."""
    command = [
        sys.executable,
        "-m",
        "segpipe",
        *(["--debug"] if debug else []),
        *map(str, arguments),
    ]
    env = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def committed(output: Path) -> int:
    return len(list((output / "frames").glob("*.parquet")))


def committed_frames(output: Path) -> int:
    """The rows of the shards that are there by now."""
    return sum(pq.read_metadata(path).num_rows for path in (output / "frames").glob("*.parquet"))


def committed_gaps(output: Path) -> list[dict[str, Any]]:
    """The gaps that are there by now."""
    return [
        g
        for path in (output / "gaps").glob("*.parquet")
        for g in pq.read_table(path, partitioning=None).to_pylist()
    ]


def rows(output: Path, table: str, by: str) -> list[dict[str, Any]]:
    return sorted(open_dataset(output).arrow(table).to_pylist(), key=lambda r: r[by])


def frames_of(output: Path, whole: bool = True) -> list[dict[str, Any]]:
    """The rows of `frames` in the order of time, with what must hold of every stream's."""
    assert not whole or not verify(output).wrong
    found = rows(output, "frames", "frame_id")
    assert len({r["frame_id"] for r in found}) == len(found)
    assert [r["frame_id"] for r in found] == [
        f"{r['source_id']}:{round(r['timestamp'].timestamp() * 1e6):016d}" for r in found
    ]
    return found


def gaps_of(output: Path) -> list[dict[str, Any]]:
    return rows(output, "gaps", "start_time")
