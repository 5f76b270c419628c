"""From what a network's head gives to labels and probabilities: softmax, scores, or one sigmoid
with a threshold.

A one-class network gives one logit z; its class's probability is p = sigmoid(z). As the two logits
(0, z) it is an ordinary model of two classes, `background` and the class, whose softmax is (1 - p,
p). The label is the class where p exceeds the threshold t, which is where z - ln(t / (1 - t))
exceeds 0 (docs/adr/0022).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from segpipe.inference.models.inference import Forward
from segpipe.inference.models.spec import ModelSpec


def two_logits(forward: Forward) -> Forward:
    """A forward that gives [N, 2, h, w] for one that gives [N, 1, h, w]: 0 for the background,
    then the logit."""

    def both(module: nn.Module, x: Tensor) -> Tensor:
        z = forward(module, x)
        return torch.cat([torch.zeros_like(z), z], 1)

    return both


def mask_only(forward: Forward) -> Forward:
    """A forward without the image-level label that a network with `aux_params` gives beside its
    mask."""
    return lambda module, x: forward(module, x)[0]


def probabilities(logits: Tensor, spec: ModelSpec, axis: int) -> Tensor:
    """The probability of each class along `axis`; a model's threshold doesn't change it."""
    if spec.scores == "scores":
        return logits / logits.sum(axis, keepdim=True).clamp_min(1e-12)
    return logits.softmax(axis)


def for_labels(logits: Tensor, spec: ModelSpec, axis: int) -> Tensor:
    """Logits of which the largest along `axis` is the label: those of a one-class model are moved
    by its threshold."""
    if spec.threshold is None or spec.threshold == 0.5:
        return logits
    background, own = logits.unbind(axis)
    return torch.stack([background, own - math.log(spec.threshold / (1.0 - spec.threshold))], axis)
