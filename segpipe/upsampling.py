"""From the network's logits to labels at the frame's size and their statistics, on a CPU, in one pass.

Logits are interpolated bilinearly (as torch's `interpolate` with `align_corners=False`) and the largest wins. Where the
four samples around a pixel agree on a class, every blend of them does too (a weighted mean keeps the order), so that
nothing has to be computed there: this is what makes full-size labels cheap. Confidence and entropy are taken from the
softmax at the network's own resolution, at the sample nearest to the pixel (docs/adr/0003).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from segpipe.frames import VOID, ClassStatistics, Float32, UInt8, View
from segpipe.stats import finish

Int32 = NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Axis:
    """For each seen pixel along one axis: the two samples around it, the second's weight, and the nearest sample."""

    low: Int32
    high: Int32
    weight: Float32
    nearest: Int32


def axis(first: int, last: int, scale: float, offset: float, input_size: int, samples: int) -> Axis:
    """Sample positions for pixels `first` to `last` (half-open), all arrays [last - first]."""
    ratio = samples / input_size
    place = (scale * (np.arange(first, last) + 0.5) + offset) * ratio - 0.5
    place = place.clip(0.0, samples - 1)
    low = np.floor(place).astype(np.int32)
    high = np.minimum(low + 1, samples - 1).astype(np.int32)
    return Axis(low, high, (place - low).astype(np.float32), np.floor(place + 0.5).astype(np.int32))


def axes(view: View, input_height: int, input_width: int, rows: int, columns: int) -> tuple[Axis, Axis]:
    """Both axes of a view for logits of rows x columns."""
    return (
        axis(view.y0, view.y1, view.scale_y, view.offset_y, input_height, rows),
        axis(view.x0, view.x1, view.scale_x, view.offset_x, input_width, columns),
    )


def labels_and_statistics(
    logits: Float32, probabilities: Float32, view: View, input_height: int, input_width: int
) -> tuple[UInt8, ClassStatistics]:
    """Labels uint8 [H, W] and statistics for one frame.

    `logits` and `probabilities` are float32 [h, w, C], `input_height` and `input_width` the size of the network's
    input, to which the view refers.
    """
    rows, columns, classes = logits.shape
    ys, xs = axes(view, input_height, input_width, rows, columns)
    labels = np.full((view.height, view.width), VOID, np.uint8)
    count, box, total = _empty(classes)
    winners = logits.argmax(axis=2).astype(np.uint8)
    _label_rows(
        np.ascontiguousarray(logits), np.ascontiguousarray(probabilities), winners,
        ys.low, ys.high, ys.weight, ys.nearest, xs.low, xs.high, xs.weight, xs.nearest,
        view.y0, view.x0, labels, count, box, total,
    )  # fmt: skip
    seen = probabilities[ys.nearest[0] : ys.nearest[-1] + 1, xs.nearest[0] : xs.nearest[-1] + 1]
    return labels, finish(count, box, total, float(_mean_entropy(np.ascontiguousarray(seen))))


def _empty(classes: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    box = np.empty((classes, 4), np.int64)
    box[:, :2], box[:, 2:] = np.iinfo(np.int64).max, -1
    return np.zeros(classes, np.int64), box, np.zeros((classes, 3), np.float64)


@njit(nogil=True, cache=True, boundscheck=False)  # type: ignore[untyped-decorator]
def _label_rows(  # type: ignore[no-untyped-def]
    logits, prob, winners, y_low, y_high, y_weight, y_near, x_low, x_high, x_weight, x_near, y0, x0, labels, count, box, total
):  # pragma: no cover - compiled
    classes, width = logits.shape[2], len(x_low)
    for row in range(len(y_low)):
        a, b, wy, near = y_low[row], y_high[row], y_weight[row], y_near[row]
        y = y0 + row
        start, current, confidence = 0, -1, 0.0
        for column in range(width):
            c, d = x_low[column], x_high[column]
            best = winners[a, c]
            if best != winners[a, d] or best != winners[b, c] or best != winners[b, d]:
                wx = x_weight[column]
                w00, w01 = (1 - wy) * (1 - wx), (1 - wy) * wx
                w10, w11 = wy * (1 - wx), wy * wx
                highest = np.float32(-np.inf)
                for k in range(classes):
                    value = w00 * logits[a, c, k] + w01 * logits[a, d, k] + w10 * logits[b, c, k] + w11 * logits[b, d, k]
                    if value > highest:
                        highest = value
                        best = k
            labels[y, x0 + column] = best
            if best != current:
                if current >= 0:
                    _add_run(current, y, x0 + start, x0 + column, confidence, count, box, total)
                start, current, confidence = column, best, 0.0
            confidence += prob[near, x_near[column], best]
        if current >= 0:
            _add_run(current, y, x0 + start, x0 + width, confidence, count, box, total)


@njit(nogil=True, cache=True, inline="always")  # type: ignore[untyped-decorator]
def _add_run(k, y, start, stop, confidence, count, box, total):  # type: ignore[no-untyped-def] # pragma: no cover
    n = stop - start
    count[k] += n
    box[k, 0] = min(box[k, 0], start)
    box[k, 1] = min(box[k, 1], y)
    box[k, 2] = max(box[k, 2], stop - 1)
    box[k, 3] = max(box[k, 3], y)
    total[k, 0] += confidence
    total[k, 1] += n * (start + stop - 1) * 0.5
    total[k, 2] += n * y


@njit(nogil=True, cache=True)  # type: ignore[untyped-decorator]
def _mean_entropy(probabilities):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    total = 0.0
    for y in range(probabilities.shape[0]):
        for x in range(probabilities.shape[1]):
            for k in range(probabilities.shape[2]):
                p = probabilities[y, x, k]
                if p > 0:
                    total -= p * np.log(p)
    return total / (probabilities.shape[0] * probabilities.shape[1])
