"""Several cameras at once share what one worker has."""

from __future__ import annotations

import contextlib
import threading
import time
from pathlib import Path

import pytest
import torch

from segpipe.config import ModelSettings, WorkerSettings
from segpipe.live.recorder import Recorder
from segpipe.live.run import run_streams
from segpipe.models import FakeSegmenter
from segpipe.run import prepared
from segpipe.worker import SegmentationWorker
from tests.streams.recording import frames_of, stream_job
from tests.streams.servers import Camera, http_server


class Counting(FakeSegmenter):
    """A network that counts how many calls it has at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.most = 0
        self.lock = threading.Lock()

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.05)
        found = super().logits(pixels)
        with self.lock:
            self.now -= 1
        return found


@pytest.mark.parametrize("lanes", [1, 2])
def test_cameras_share_the_lanes(tmp_path: Path, lanes: int) -> None:
    segmenter = Counting()
    with contextlib.ExitStack() as stack:
        urls = [stack.enter_context(http_server(Camera(fps=5).serve)) + "/cam" for _ in range(4)]
        job = stream_job(tmp_path, *urls, stream={"duration": "2.5s"})
        worker = SegmentationWorker(segmenter, ModelSettings(source="fake:"), WorkerSettings(lanes=lanes))
        with prepared(job, worker) as ready:
            reports = run_streams(ready.streams, job, worker, ready.store, lambda: False)
    assert segmenter.most == lanes
    assert all(r.totals.frames for r in reports), "each of them has its turn"
    assert sum(r.totals.frames for r in reports) == len(frames_of(tmp_path))


def test_cameras_share_the_memory(tmp_path: Path) -> None:
    worker = SegmentationWorker(FakeSegmenter(), ModelSettings(source="fake:"), WorkerSettings(lanes=1, max_memory="80MB"))
    job = stream_job(tmp_path, *(f"rtsp://127.0.0.1/cam{i}" for i in range(4)))
    with prepared(job, worker) as ready:
        found = [Recorder(p.stream, p.span, job, worker, ready.store, lambda: False) for p in ready.streams]
    assert sum(r.half or 0 for r in found) == 40_000_000
    assert sum(r.inbox.most_bytes or 0 for r in found) == 40_000_000
