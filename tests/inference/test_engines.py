"""Engines: the table's names, the default way from logits to labels, and memory that runs out."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from segpipe.core.config.sections import ModelSettings, WorkerSettings
from segpipe.core.errors import ConfigError
from segpipe.core.types import VOID, Float32, FrameBatch, FrameRef, ModelInput, UInt8
from segpipe.inference import scores, upsampling, upsampling_torch
from segpipe.inference.engines import Engine, load_engine
from segpipe.inference.measures.regions import NO_REGIONS
from segpipe.inference.models import FakeSegmenter, ModelSpec, Preprocessing, heads
from segpipe.inference.worker import SegmentationWorker

TWO = FakeSegmenter().spec.classes[:2]
SPECS = (
    FakeSegmenter().spec,
    ModelSpec("a:", "a", TWO, Preprocessing(), scores="scores"),
    ModelSpec("a:", "a", TWO, Preprocessing(), threshold=0.8),
)


def test_an_unknown_engine_is_refused_with_the_known_ones() -> None:
    settings = ModelSettings(engine="steam")
    with pytest.raises(ConfigError, match=r"model.engine: 'steam' is unknown; allowed are torch"):
        load_engine(FakeSegmenter(), settings, WorkerSettings())


@pytest.mark.parametrize("spec", SPECS, ids=["logits", "scores", "threshold"])
def test_probabilities_and_deciding_logits_are_those_of_torch(spec: ModelSpec) -> None:
    logits = np.random.default_rng(0).normal(0, 4, (2, 7, 9, len(spec.classes))).astype(np.float32)
    logits = np.abs(logits) if spec.scores == "scores" else logits
    there = torch.from_numpy(logits)
    shares = heads.probabilities(there, spec, -1).numpy()
    np.testing.assert_allclose(scores.probabilities(logits, spec), shares, atol=1e-6)
    deciding = heads.for_labels(there, spec, -1).numpy()
    np.testing.assert_array_equal(scores.for_labels(logits, spec), deciding)


def test_a_pixels_confidence_is_the_same_in_torch_and_its_mean_is_the_statistic() -> None:
    prep = Preprocessing(height=64, width=96, crop_height=48, crop_width=80)
    pixels, view = prep.apply(np.zeros((98, 160, 3), np.uint8))
    logits = np.random.default_rng(1).normal(0, 2, (12, 20, 4)).astype(np.float32)
    shares = scores.probabilities(logits, SPECS[0])
    size = pixels.shape[:2]
    labels, statistics = upsampling.labels_and_statistics(
        logits, shares, view, *size, NO_REGIONS.for_size(98, 160)
    )
    ours = upsampling.pixel_confidence(labels, shares, view, *size)
    assert ours[labels != VOID].mean() == pytest.approx(statistics.mean_confidence, rel=1e-5)
    assert not ours[labels == VOID].any()
    theirs = upsampling_torch.pixel_confidence(
        torch.from_numpy(labels), torch.from_numpy(shares).permute(2, 0, 1), view, *size
    )
    np.testing.assert_array_equal(ours, theirs.numpy())


class Striped(Engine):
    """Gives logits alone: class 1 left of the middle, class 3 right of it."""

    def logits(self, pixels: UInt8) -> Float32:
        count, height, width, _ = pixels.shape
        found = np.zeros((count, height // 4, width // 4, len(self.spec.classes)), np.float32)
        found[:, :, : width // 8, 1] = found[:, :, width // 8 :, 3] = 9.0
        return found


def test_an_engine_that_gives_logits_alone_gets_labels_and_confidence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from segpipe.inference import engines

    monkeypatch.setitem(
        engines.ENGINES, "striped", lambda segmenter, _, sizes: Striped(segmenter.spec, sizes)
    )
    worker = SegmentationWorker(FakeSegmenter(), ModelSettings(engine="striped"))
    prep = worker.segmenter.spec.preprocessing
    inputs = tuple(
        ModelInput(FrameRef(f"a:{i}", "a", "a"), *prep.apply(np.zeros((96, 160, 3), np.uint8)))
        for i in range(2)
    )
    for result in worker.run(FrameBatch(inputs), confidence=True):
        assert set(np.unique(result.labels[:, :78])) == {1}
        assert set(np.unique(result.labels[:, 82:])) == {3}
        assert result.confidence is not None
        assert result.confidence.min() > 0.99
    assert worker.run(FrameBatch(inputs))[0].confidence is None
    assert worker.ran_out_of_memory(MemoryError())
    worker.shrink(0)
    assert (worker.batch_size, worker.shrunk_from) == (1, 1)
