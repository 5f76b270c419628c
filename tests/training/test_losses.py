"""Losses: cross-entropy against the article's formula by hand, each against its gradient, what is
ignored."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from segpipe.core.types import VOID
from segpipe.training.losses import WeightedSum, build, class_weights
from segpipe.training.settings import LossTerm

SHARES = np.array([0.5, 0.3, 0.2])
NAMES = ("cross_entropy", "ohem", "dice", "jaccard", "focal", "lovasz", "tversky")
# Two pixels of three classes; e^ln2 = 2 and so on, so that the softmax is (1/6, 2/6, 3/6) and (4/6,
# 1/6, 1/6).
LOGITS = torch.tensor([[0.0, math.log(4)], [math.log(2), 0.0], [math.log(3), 0.0]]).reshape(
    1, 3, 1, 2
)


def cross_entropy(classes: list[int], **term: object) -> float:
    loss = build(LossTerm.model_validate({"name": "cross_entropy", **term}), SHARES)
    return float(loss(LOGITS, torch.tensor(classes).reshape(1, 1, 2)))


def test_cross_entropy_is_the_formula() -> None:
    assert cross_entropy([2, 0]) == pytest.approx((-math.log(3 / 6) - math.log(4 / 6)) / 2)
    assert cross_entropy([0, 1]) == pytest.approx((-math.log(1 / 6) - math.log(1 / 6)) / 2)


def test_ignored_pixels_do_not_count() -> None:
    assert cross_entropy([2, VOID]) == pytest.approx(-math.log(3 / 6))


def test_class_weights_weigh() -> None:
    w = 1 / np.log(1.1 + SHARES)
    expected = (w[2] * -math.log(3 / 6) + w[0] * -math.log(4 / 6)) / (w[2] + w[0])
    assert cross_entropy([2, 0], class_weights="bounded") == pytest.approx(expected, rel=1e-6)


def test_label_smoothing_spreads_the_target() -> None:
    # 0.3 smoothing: 0.8 on the true class, 0.1 on each of the others
    expected = -(0.8 * math.log(3 / 6) + 0.1 * math.log(2 / 6) + 0.1 * math.log(1 / 6))
    assert cross_entropy([2, VOID], label_smoothing=0.3) == pytest.approx(expected, rel=1e-6)


def test_inverse_weights_are_the_median_share_over_the_share() -> None:
    found = class_weights("inverse", np.array([0.5, 0.2, 0.3, 0.0]))
    assert found is not None
    # The class never seen weighs as the rarest.
    np.testing.assert_allclose(found.numpy(), [0.6, 1.5, 1.0, 1.5], rtol=1e-6)


def test_ohem_takes_the_hardest() -> None:
    hardest = build(LossTerm(name="ohem", hardest=0.5), SHARES)
    assert float(hardest(LOGITS, torch.tensor([[[2, 1]]]))) == pytest.approx(-math.log(1 / 6))


@pytest.mark.filterwarnings("ignore:Input #0 requires gradient")
@pytest.mark.parametrize("name", NAMES)
def test_gradients(name: str) -> None:
    torch.manual_seed(0)
    # the library's Lovász computes in float32 whatever it is given
    kind, tolerance = (
        (torch.float32, {"eps": 1e-3, "atol": 1e-2})
        if name == "lovasz"
        else (torch.float64, {"atol": 1e-5})
    )
    logits = torch.randn(2, 3, 3, 4, dtype=kind, requires_grad=True)
    classes = torch.randint(0, 3, (2, 3, 4))
    classes[0, 0, :2] = VOID
    loss = build(LossTerm(name=name), SHARES)  # type: ignore[arg-type]
    assert torch.autograd.gradcheck(lambda x: loss(x, classes), (logits,), **tolerance)
    loss(logits, classes).backward()
    assert logits.grad is not None
    assert float(logits.grad.abs().sum()) > 0
    assert float(logits.grad[0, :, 0, :2].abs().max()) == 0.0  # void pixels teach nothing


@pytest.mark.parametrize("name", NAMES)
def test_right_answers_cost_less(name: str) -> None:
    classes = torch.arange(12).reshape(1, 3, 4) % 3
    right = torch.nn.functional.one_hot(classes, 3).permute(0, 3, 1, 2) * 40.0 - 20.0
    loss = build(LossTerm(name=name), SHARES)  # type: ignore[arg-type]
    assert float(loss(right, classes)) < 0.01 < 0.2 < float(loss(-right, classes))


@pytest.mark.parametrize("name", NAMES)
def test_a_batch_of_void_costs_nothing(name: str) -> None:
    logits = torch.randn(1, 3, 2, 2, requires_grad=True)
    total, _ = WeightedSum((LossTerm(name=name),), SHARES)(logits, torch.full((1, 2, 2), VOID))  # type: ignore[arg-type]
    total.backward()
    assert total.item() == 0.0
    assert logits.grad is not None
    assert not logits.grad.any()


def test_a_weighted_sum() -> None:
    terms = (LossTerm(name="cross_entropy", weight=2.0), LossTerm(name="dice", weight=0.5))
    total, parts = WeightedSum(terms, SHARES)(LOGITS, torch.tensor([[[2, 0]]]))
    assert float(total) == pytest.approx(
        2 * float(parts["cross_entropy"]) + 0.5 * float(parts["dice"]), rel=1e-6
    )


def test_small_logits_are_upsampled() -> None:
    total, _ = WeightedSum((LossTerm(),), SHARES)(LOGITS, torch.zeros(1, 4, 8, dtype=torch.int64))
    assert math.isfinite(float(total))
