"""Label maps painted as footage in the colours of their classes: the masks that come back are the
painted ones, so that the answers to questions about a dataset are known."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from segpipe.core.config.job import make_job
from segpipe.core.taxonomy_files import load_taxonomy
from segpipe.core.types import UInt8
from segpipe.inference.models import ClassInfo, FakeSegmenter, Preprocessing
from segpipe.inference.worker import SegmentationWorker
from segpipe.pipeline.prepare import prepared
from segpipe.pipeline.settings import FrameSettings
from segpipe.pipeline.shard import run_shard
from segpipe.store.dataset import Dataset, open_dataset

CAMVID = load_taxonomy("camvid").classes
COLOURS = np.array([c.colour for c in CAMVID], np.uint8)


def write_painted(path: Path, labels: Sequence[UInt8], fps: int) -> Path:
    """Label maps uint8 [H, W] of CamVid's classes as a video without loss."""
    height, width = labels[0].shape
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        for i, label in enumerate(labels):
            frame = av.VideoFrame.from_ndarray(COLOURS[label], format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def segment_painted(inputs: Sequence[Path], out: Path, **settings: Any) -> Dataset:
    """Run the pipeline on painted footage, with a segmenter that knows the colours; `settings` are
    sections of the job."""
    classes = tuple(ClassInfo(i, c.name, c.colour) for i, c in enumerate(CAMVID))
    worker = SegmentationWorker(FakeSegmenter(classes, 1, Preprocessing()))
    job = make_job({"inputs": [str(p) for p in inputs], "output": str(out), **settings})
    with prepared(job, worker) as ready:
        for shard in ready.todo:
            run_shard(shard, FrameSettings.of(job), worker, ready.store)
    return open_dataset(out)
