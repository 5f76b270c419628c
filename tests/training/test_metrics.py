"""Metrics against torchmetrics and against slow references."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.classification import (
    MulticlassAccuracy,
    MulticlassCalibrationError,
    MulticlassJaccardIndex,
)

from segpipe.core.types import VOID
from segpipe.training.evaluation.metrics import BINS, BOUNDARY_TOLERANCE, Tally, boundary_f1

CLASSES = 5


def random_case(seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth with void, probabilities [C, H, W] that are often right, and what they say."""
    rng = np.random.default_rng(seed)
    truth = np.kron(rng.integers(0, CLASSES, (5, 7)), np.ones((8, 8), np.int64)).astype(np.uint8)
    logits = rng.normal(size=(CLASSES, *truth.shape)) + 2.0 * (
        np.arange(CLASSES)[:, None, None] == truth
    )
    probabilities = np.exp(logits) / np.exp(logits).sum(0)
    truth[rng.random(truth.shape) < 0.1] = VOID
    return truth, probabilities.astype(np.float32), probabilities.argmax(0).astype(np.uint8)


@pytest.fixture(scope="module")
def both() -> tuple[Tally, torch.Tensor, torch.Tensor]:
    tally, all_p, all_t = Tally(CLASSES), [], []
    for seed in range(4):
        truth, probabilities, found = random_case(seed)
        tally.add(truth, found, probabilities.max(0))
        all_p.append(torch.from_numpy(probabilities)[None])
        all_t.append(torch.from_numpy(truth.astype(np.int64))[None])
    return tally, torch.cat(all_p), torch.cat(all_t)


def test_iou_and_accuracy_agree_with_torchmetrics(
    both: tuple[Tally, torch.Tensor, torch.Tensor],
) -> None:
    tally, p, t = both
    iou = MulticlassJaccardIndex(CLASSES, average="none", ignore_index=VOID)(p, t)
    np.testing.assert_allclose(tally.iou, iou.numpy(), rtol=1e-5)
    assert tally.mean_iou == pytest.approx(float(iou.mean()), rel=1e-5)
    accuracy = MulticlassAccuracy(CLASSES, average="micro", ignore_index=VOID)(p, t)
    assert tally.accuracy == pytest.approx(float(accuracy), rel=1e-5)


def test_calibration_agrees_with_torchmetrics(
    both: tuple[Tally, torch.Tensor, torch.Tensor],
) -> None:
    tally, p, t = both
    expected = MulticlassCalibrationError(CLASSES, n_bins=BINS, norm="l1", ignore_index=VOID)(p, t)
    assert tally.calibration_error == pytest.approx(float(expected), abs=1e-4)


def test_iou_agrees_with_a_slow_reference() -> None:
    truth, probabilities, found = random_case(9)
    tally = Tally(CLASSES)
    tally.add(truth, found, probabilities.max(0))
    for c in range(CLASSES):
        inside = union = 0
        for t, f in zip(truth.ravel().tolist(), found.ravel().tolist(), strict=True):
            if t != VOID:
                inside += t == c and f == c
                union += t == c or f == c
        assert tally.iou[c] == pytest.approx(inside / union)


def slow_boundary_f1(truth: np.ndarray, found: np.ndarray, c: int) -> float:
    h, w = truth.shape
    tolerance = max(1.0, BOUNDARY_TOLERANCE * float(np.hypot(h, w)))

    def around(y: int, x: int) -> list[tuple[int, int]]:
        return [
            (v, u)
            for v in range(max(0, y - 1), min(h, y + 2))
            for u in range(max(0, x - 1), min(w, x + 2))
        ]

    def edge(mask: np.ndarray) -> list[tuple[int, int]]:
        return [
            (y, x)
            for y in range(h)
            for x in range(w)
            if mask[y, x]
            and not all(mask[p] for p in around(y, x))
            and all(truth[p] != VOID for p in around(y, x))
        ]

    true_edge, found_edge = edge(truth == c), edge(found == c)
    if not found_edge or not true_edge:
        return 0.0

    def near(points: list[tuple[int, int]], others: list[tuple[int, int]]) -> float:
        return float(
            np.mean(
                [min(np.hypot(y - v, x - u) for v, u in others) <= tolerance for y, x in points]
            )
        )

    precision, recall = near(found_edge, true_edge), near(true_edge, found_edge)
    return 2 * precision * recall / max(1e-12, precision + recall)


def test_boundary_f1_agrees_with_a_slow_reference() -> None:
    rng = np.random.default_rng(3)
    truth = np.kron(rng.integers(0, 3, (3, 4)), np.ones((10, 10), np.int64)).astype(np.uint8)
    found = np.roll(truth, 2, axis=1)
    found[5:9, 5:9] = 1
    truth[0:3, 0:3] = VOID
    scores = boundary_f1(truth, found, 3)
    for c in range(3):
        assert scores[c, 1] == 1
        assert scores[c, 0] == pytest.approx(slow_boundary_f1(truth, found, c), abs=1e-6)


def test_a_perfect_answer_is_perfect() -> None:
    truth, _, _ = random_case(1)
    truth[truth == VOID] = 0
    tally = Tally(CLASSES)
    tally.add(truth, truth, np.ones(truth.shape, np.float32))
    assert (tally.mean_iou, tally.accuracy, tally.calibration_error) == (1.0, 1.0, 0.0)
    np.testing.assert_allclose(tally.boundary_f1, 1.0)


def test_what_is_found_besides_the_classes_is_a_miss() -> None:
    tally = Tally(2)
    tally.add(
        np.array([[0, 0, 1, VOID]], np.uint8),
        np.array([[0, 2, 1, 2]], np.uint8),
        np.ones((1, 4), np.float32),
    )
    assert tally.confusion.tolist() == [[1, 0, 1], [0, 1, 0]]
    assert tally.iou.tolist() == [0.5, 1.0]
