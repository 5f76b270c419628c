"""Losses by name, and weighted sums of them. Logits float [N, C, h, w]; classes int64 [N, H, W]
with VOID ignored."""

from __future__ import annotations

import numpy as np
import segmentation_models_pytorch as smp
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from segpipe.core.types import VOID
from segpipe.training.settings import LossTerm

MULTICLASS = "multiclass"


class Ohem(nn.Module):
    """Cross-entropy of the hardest pixels only (online hard example mining: Shrivastava and others,
    2016).

    The mean over the `hardest` share of labelled pixels, those with the highest loss.
    """

    def __init__(self, hardest: float, weight: Tensor | None) -> None:
        super().__init__()
        self.hardest = hardest
        self.register_buffer("weight", weight)

    def forward(self, logits: Tensor, classes: Tensor) -> Tensor:
        weight: Tensor | None = self.weight  # type: ignore[assignment]
        each = functional.cross_entropy(
            logits, classes, weight=weight, ignore_index=VOID, reduction="none"
        )[classes != VOID]
        return each.topk(max(1, round(self.hardest * each.numel()))).values.mean()


class CrossEntropy(nn.Module):
    """The article's formula: the mean over labelled pixels of -ln softmax(logits)[class], weighted
    by class.

    With weights w the mean is weighted, sum(w[y] * loss) / sum(w[y]), as torch does it.
    """

    def __init__(self, weight: Tensor | None, label_smoothing: float) -> None:
        super().__init__()
        self.label_smoothing = label_smoothing
        self.register_buffer("weight", weight)

    def forward(self, logits: Tensor, classes: Tensor) -> Tensor:
        weight: Tensor | None = self.weight  # type: ignore[assignment]
        return functional.cross_entropy(
            logits, classes, weight=weight, ignore_index=VOID, label_smoothing=self.label_smoothing
        )


class WeightedSum(nn.Module):
    """The sum of losses, each times its weight. Logits that are smaller than the classes are
    upsampled first.

    A batch without a single labelled pixel gives 0, where most losses would give NaN.
    """

    def __init__(self, terms: tuple[LossTerm, ...], shares: NDArray[np.float64]) -> None:
        super().__init__()
        self.names = [t.name for t in terms]
        self.factors = [t.weight for t in terms]
        self.losses = nn.ModuleList([build(t, shares) for t in terms])

    def forward(self, logits: Tensor, classes: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """The sum, and each term by name before its weight."""
        logits = logits.float()
        if logits.shape[-2:] != classes.shape[-2:]:
            logits = functional.interpolate(
                logits, size=classes.shape[-2:], mode="bilinear", align_corners=False
            )
        known = bool((classes != VOID).any())
        parts = [loss(logits, classes) if known else logits.sum() * 0.0 for loss in self.losses]
        total = torch.stack([f * p for f, p in zip(self.factors, parts, strict=True)]).sum()
        return total, {n: p.detach() for n, p in zip(self.names, parts, strict=True)}


def build(term: LossTerm, shares: NDArray[np.float64]) -> nn.Module:
    """One loss. `shares` are the classes' shares of the training pixels, from which class weights
    are made."""
    weight = class_weights(term.class_weights, shares)
    if term.name == "cross_entropy":
        return CrossEntropy(weight, term.label_smoothing)
    if term.name == "ohem":
        return Ohem(term.hardest, weight)
    kinds = {
        "lovasz": lambda: smp.losses.LovaszLoss(MULTICLASS, ignore_index=VOID),
        "dice": lambda: smp.losses.DiceLoss(MULTICLASS, ignore_index=VOID),
        "jaccard": lambda: smp.losses.JaccardLoss(MULTICLASS, ignore_index=VOID),
        "focal": lambda: smp.losses.FocalLoss(MULTICLASS, gamma=term.gamma, ignore_index=VOID),
        "tversky": lambda: smp.losses.TverskyLoss(
            MULTICLASS, ignore_index=VOID, alpha=term.alpha, beta=term.beta
        ),
    }
    loss: nn.Module = kinds[term.name]()
    return loss


def class_weights(kind: str, shares: NDArray[np.float64]) -> Tensor | None:
    """Weights float [C] by class: none; bounded, 1 / ln(1.1 + share) (ENet: Paszke and others,
    2016); inverse, the median share over the share (SegNet: Badrinarayanan and others, 2017). A
    class that never occurs weighs as much as the rarest."""
    if kind == "none":
        return None
    if kind == "bounded":
        return torch.tensor(1.0 / np.log(1.1 + shares), dtype=torch.float32)
    seen = shares[shares > 0]
    return torch.tensor(np.median(seen) / np.maximum(shares, seen.min()), dtype=torch.float32)
