"""The worker: the labels of a frame don't depend on its batch; devices that aren't there are
refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from segpipe.core.config.job import ModelSettings
from segpipe.core.errors import ConfigError
from segpipe.core.results import FrameResult
from segpipe.core.types import FrameBatch, FrameRef, ModelInput, UInt8
from segpipe.inference import models
from segpipe.inference.engines.torch_engine import choose_device
from segpipe.inference.models import FakeSegmenter
from segpipe.inference.worker import SegmentationWorker
from segpipe.training.sample import DriveSettings, render_frame
from segpipe.training.sample.world import build


def street_frames(count: int) -> list[UInt8]:
    settings = DriveSettings(width=480, height=352)
    return [render_frame(settings, build(), 3.0 * i)[0] for i in range(count)]


def inputs_of(worker: SegmentationWorker, frames: list[UInt8]) -> tuple[ModelInput, ...]:
    prep = worker.segmenter.spec.preprocessing
    return tuple(
        ModelInput(FrameRef(f"a:{i}", "a", "a"), *prep.apply(f)) for i, f in enumerate(frames)
    )


def run_in_batches(
    worker: SegmentationWorker, inputs: tuple[ModelInput, ...], size: int
) -> list[FrameResult]:
    groups = [FrameBatch(inputs[i : i + size]) for i in range(0, len(inputs), size)]
    return [r for g in groups for r in worker.run(g)]


def test_batch_one_and_batch_n_give_the_same() -> None:
    worker = SegmentationWorker(models.load("builtin:street"), ModelSettings(device="cpu"))
    inputs = inputs_of(worker, street_frames(5))
    alone, together, unequal = (run_in_batches(worker, inputs, n) for n in (1, 5, 3))
    for a, b, c in zip(alone, together, unequal, strict=True):
        assert np.array_equal(a.labels, b.labels)
        assert np.array_equal(a.labels, c.labels)
        assert a.statistics.mean_confidence == b.statistics.mean_confidence
        assert np.array_equal(a.statistics.pixel_count, b.statistics.pixel_count)


@pytest.mark.gpu
def test_batch_one_and_batch_n_give_the_same_on_cuda() -> None:
    for precision in ("float32", "float16"):
        worker = SegmentationWorker(
            models.load("builtin:street"), ModelSettings(device="cuda", precision=precision)
        )
        inputs = inputs_of(worker, street_frames(8))
        alone, together = run_in_batches(worker, inputs, 1), run_in_batches(worker, inputs, 8)
        same = [np.mean(a.labels == b.labels) for a, b in zip(alone, together, strict=True)]
        assert min(same) > 0.9995


@pytest.mark.gpu
def test_cuda_and_cpu_agree() -> None:
    results = []
    for device in ("cpu", "cuda"):
        worker = SegmentationWorker(
            models.load("builtin:street"), ModelSettings(device=device, precision="float32")
        )
        results.append(run_in_batches(worker, inputs_of(worker, street_frames(4)), 4))
    for a, b in zip(*results, strict=True):
        assert np.mean(a.labels == b.labels) > 0.999
        assert a.statistics.mean_confidence == pytest.approx(b.statistics.mean_confidence, abs=1e-3)


def test_painted_colours_come_back_at_the_frames_size() -> None:
    rgb = np.zeros((98, 160, 3), np.uint8)
    rgb[:, :80] = (220, 30, 30)
    rgb[:, 80:] = (30, 30, 220)
    worker = SegmentationWorker(FakeSegmenter())
    result = run_in_batches(worker, inputs_of(worker, [rgb]), 1)[0]
    assert result.labels.shape == (98, 160)
    assert set(np.unique(result.labels[:, :78])) == {1}
    assert set(np.unique(result.labels[:, 82:])) == {3}
    assert result.statistics.mean_confidence > 0.95


def test_a_batch_of_several_shapes_is_refused() -> None:
    worker = SegmentationWorker(FakeSegmenter())
    with pytest.raises(ValueError, match="one shape"):
        FrameBatch(
            inputs_of(worker, [np.zeros((32, 32, 3), np.uint8), np.zeros((32, 64, 3), np.uint8)])
        )


def test_torch_keeps_its_threads_outside_the_lanes() -> None:
    before = torch.get_num_threads()
    worker = SegmentationWorker(FakeSegmenter())
    run_in_batches(worker, inputs_of(worker, [np.zeros((32, 32, 3), np.uint8)]), 1)
    assert torch.get_num_threads() == before


@pytest.mark.parametrize(
    ("name", "said"),
    [("tpu9", "is no device"), ("mps", "isn't supported"), ("cuda:77", "isn't there")],
)
def test_devices_that_are_refused(name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        choose_device(name)
