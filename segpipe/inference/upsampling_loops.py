"""The compiled loops of `upsampling`: one pass over a frame's pixels in runs of one label."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True, boundscheck=False)  # type: ignore[untyped-decorator]
def label_rows(logits, prob, winners, ys, xs, y0, x0, atoms, labels, count, box, total, weights):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Write the labels of the pixels from (y0, x0) on, whose places among the samples the axes `ys`
    and `xs` tell, and add their runs to the sums of atoms and classes, and each pixel to the
    weights int64 [h, w] of its nearest sample. Pixels of atom 0 are left out."""
    width = len(xs.low)
    for row in range(len(ys.low)):
        a, b, wy, near = ys.low[row], ys.high[row], ys.weight[row], ys.nearest[row]
        y = y0 + row
        start, current, atom, confidence = 0, -1, 0, 0.0
        for column in range(width):
            here = atoms[y, x0 + column]
            if here == 0:
                if current >= 0:
                    _add_run(
                        atom, current, y, x0 + start, x0 + column, confidence, count, box, total
                    )
                    current = -1
                continue
            weights[near, xs.nearest[column]] += 1
            c, d = xs.low[column], xs.high[column]
            best = winners[a, c]
            if best != winners[a, d] or best != winners[b, c] or best != winners[b, d]:
                best = _blended_winner(best, logits, a, b, c, d, wy, xs.weight[column])
            labels[y, x0 + column] = best
            if best != current or here != atom:
                if current >= 0:
                    _add_run(
                        atom, current, y, x0 + start, x0 + column, confidence, count, box, total
                    )
                start, current, atom, confidence = column, best, here, 0.0
            confidence += prob[near, xs.nearest[column], best]
        if current >= 0:
            _add_run(atom, current, y, x0 + start, x0 + width, confidence, count, box, total)


@njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator]
def _blended_winner(winner, logits, a, b, c, d, wy, wx):  # type: ignore[no-untyped-def] # pragma: no cover
    """The class whose blend of the samples in rows a, b and columns c, d is the largest; the
    given winner where none can be told."""
    w00, w01 = (1 - wy) * (1 - wx), (1 - wy) * wx
    w10, w11 = wy * (1 - wx), wy * wx
    highest = np.float32(-np.inf)
    for k in range(logits.shape[2]):
        value = (
            w00 * logits[a, c, k]
            + w01 * logits[a, d, k]
            + w10 * logits[b, c, k]
            + w11 * logits[b, d, k]
        )
        if value > highest:
            highest = value
            winner = k
    return winner


@njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator]
def _add_run(a, k, y, start, stop, confidence, count, box, total):  # type: ignore[no-untyped-def] # pragma: no cover
    n = stop - start
    count[a, k] += n
    box[a, k, 0] = min(box[a, k, 0], start)
    box[a, k, 1] = min(box[a, k, 1], y)
    box[a, k, 2] = max(box[a, k, 2], stop - 1)
    box[a, k, 3] = max(box[a, k, 3], y)
    total[a, k, 0] += confidence
    total[a, k, 1] += n * (start + stop - 1) * 0.5
    total[a, k, 2] += n * y


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def mean_entropy(probabilities, weights):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Mean entropy over the valid pixels: that of each sample times the pixels that it is the
    nearest of."""
    total, pixels = 0.0, 0
    for y in range(probabilities.shape[0]):
        for x in range(probabilities.shape[1]):
            if weights[y, x]:
                entropy = 0.0
                for k in range(probabilities.shape[2]):
                    p = probabilities[y, x, k]
                    if p > 0:
                        entropy -= p * np.log(p)
                total += entropy * weights[y, x]
                pixels += weights[y, x]
    return total / pixels if pixels else np.nan
