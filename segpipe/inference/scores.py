"""From a network's logits to probabilities and to what decides a label, on a CPU: for every engine
that gives logits. `models.heads` does the same in torch (docs/adr/0022)."""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from segpipe.core.types import Float32
from segpipe.inference.models.spec import ModelSpec


def probabilities(logits: Float32, spec: ModelSpec) -> Float32:
    """The probability of each class along the last axis; a model's threshold doesn't change it."""
    if spec.scores == "scores":
        shares = logits / np.maximum(logits.sum(-1, keepdims=True), np.float32(1e-12))
        return np.asarray(shares, np.float32)
    logits = np.ascontiguousarray(logits, np.float32)
    shares = np.empty_like(logits)
    _softmax(logits.reshape(-1, logits.shape[-1]), shares.reshape(-1, logits.shape[-1]))
    return shares


def for_labels(logits: Float32, spec: ModelSpec) -> Float32:
    """Logits of which the largest along the last axis is the label: those of a one-class model are
    moved by its threshold."""
    if spec.threshold is None or spec.threshold == 0.5:
        return logits
    moved = logits.copy()
    moved[..., 1] -= np.float32(math.log(spec.threshold / (1.0 - spec.threshold)))
    return moved


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _softmax(logits, shares):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    rows, classes = logits.shape
    for i in range(rows):
        highest = logits[i, 0]
        for k in range(1, classes):
            highest = max(highest, logits[i, k])
        total = np.float32(0.0)
        for k in range(classes):
            shares[i, k] = np.exp(logits[i, k] - highest)
            total += shares[i, k]
        for k in range(classes):
            shares[i, k] /= total
