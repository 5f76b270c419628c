"""Several cameras at once share what one worker has."""

from __future__ import annotations

import contextlib
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from segpipe.core.config.job import ModelSettings, WorkerSettings
from segpipe.inference.models import FakeSegmenter
from segpipe.inference.worker import SegmentationWorker
from segpipe.pipeline.live.recorder import Recorder
from segpipe.pipeline.prepare import prepared
from segpipe.pipeline.run import executor, run
from tests.clock import HANG_S
from tests.pipeline.live.progress import Progress, until
from tests.pipeline.live.recording import frames_of, stream_job
from tests.pipeline.live.servers import Camera, http_server


class Counting(FakeSegmenter):
    """A network that counts how many calls it has at once. The first ones wait for each other,
    until there are as many as there should be."""

    def __init__(self, together: int) -> None:
        super().__init__()
        self.now = self.most = 0
        self.lock, self.barrier = threading.Lock(), threading.Barrier(together)
        self.met = threading.Event()

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        if not self.met.is_set():
            self.barrier.wait(HANG_S)
            self.met.set()
        time.sleep(0.05)  # more of them than there may be would come meanwhile
        found = super().logits(pixels)
        with self.lock:
            self.now -= 1
        return found


@pytest.mark.parametrize("lanes", [1, 2])
def test_cameras_share_the_lanes(tmp_path: Path, lanes: int, progress: Progress) -> None:
    segmenter = Counting(lanes)
    with contextlib.ExitStack() as stack:
        urls = [stack.enter_context(http_server(Camera(fps=5).serve)) + "/cam" for _ in range(4)]
        job = stream_job(tmp_path, *urls)
        worker = SegmentationWorker(
            segmenter, ModelSettings(source="fake:"), WorkerSettings(lanes=lanes, batch_size=1)
        )
        stop = until(lambda: sum(n >= 5 for n in progress.segmented.values()) == 4)
        with prepared(job, worker) as found:
            ready = replace(found, stop=stop)
            with executor(ready) as submit:
                reports = run(ready, submit).streams
    assert segmenter.most == lanes
    assert all(r.totals.frames for r in reports), "each of them has its turn"
    assert sum(r.totals.frames for r in reports) == len(frames_of(tmp_path))


def test_cameras_share_the_memory(tmp_path: Path) -> None:
    worker = SegmentationWorker(
        FakeSegmenter(), ModelSettings(source="fake:"), WorkerSettings(lanes=1, max_memory="80MB")
    )
    job = stream_job(tmp_path, *(f"rtsp://127.0.0.1/cam{i}" for i in range(4)))
    with prepared(job, worker) as ready:
        found = [
            Recorder(p.stream, p.span, p.settings, worker, ready.store, lambda: False)
            for p in ready.streams
        ]
    assert sum(r.bytes_in_work or 0 for r in found) == 40_000_000
    assert sum(r.inbox.most_bytes or 0 for r in found) == 40_000_000
