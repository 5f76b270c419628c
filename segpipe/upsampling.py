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

from segpipe.components import components
from segpipe.frames import VOID, Float32, UInt8, View
from segpipe.regions import RegionMap
from segpipe.results import ClassStatistics
from segpipe.stats import NO_BOX, Sums, finish

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
    logits: Float32, probabilities: Float32, view: View, input_height: int, input_width: int, regions: RegionMap
) -> tuple[UInt8, ClassStatistics]:
    """Labels uint8 [H, W] and statistics for one frame.

    `logits` and `probabilities` are float32 [h, w, C], `input_height` and `input_width` the size of the network's
    input, to which the view refers; `regions` are those of the frame's size.
    """
    rows, columns, classes = logits.shape
    ys, xs = axes(view, input_height, input_width, rows, columns)
    labels = np.full((view.height, view.width), VOID, np.uint8)
    atoms = regions.membership.shape[1]
    count, total = np.zeros((atoms, classes), np.int64), np.zeros((atoms, classes, 3), np.float64)
    box = np.empty((atoms, classes, 4), np.int64)
    box[..., :2], box[..., 2:] = NO_BOX, -1
    weights = np.zeros((rows, columns), np.int64)
    winners = logits.argmax(axis=2).astype(np.uint8)
    probabilities = np.ascontiguousarray(probabilities)
    _label_rows(
        np.ascontiguousarray(logits), probabilities, winners,
        ys.low, ys.high, ys.weight, ys.nearest, xs.low, xs.high, xs.weight, xs.nearest,
        view.y0, view.x0, regions.atoms, labels, count, box, total, weights,
    )  # fmt: skip
    sums = Sums(count, box, total, float(_mean_entropy(probabilities, weights)))
    return labels, finish(sums, regions, *components(labels, regions, classes))


@njit(nogil=True, cache=True, boundscheck=False)  # type: ignore[untyped-decorator]
def _label_rows(  # type: ignore[no-untyped-def]
    logits,
    prob,
    winners,
    y_low,
    y_high,
    y_weight,
    y_near,
    x_low,
    x_high,
    x_weight,
    x_near,
    y0,
    x0,
    atoms,
    labels,
    count,
    box,
    total,
    weights,
):  # pragma: no cover - compiled
    classes, width = logits.shape[2], len(x_low)
    for row in range(len(y_low)):
        a, b, wy, near = y_low[row], y_high[row], y_weight[row], y_near[row]
        y = y0 + row
        start, current, atom, confidence = 0, -1, 0, 0.0
        for column in range(width):
            here = atoms[y, x0 + column]
            if here == 0:
                if current >= 0:
                    _add_run(atom, current, y, x0 + start, x0 + column, confidence, count, box, total)
                    current = -1
                continue
            weights[near, x_near[column]] += 1
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
            if best != current or here != atom:
                if current >= 0:
                    _add_run(atom, current, y, x0 + start, x0 + column, confidence, count, box, total)
                start, current, atom, confidence = column, best, here, 0.0
            confidence += prob[near, x_near[column], best]
        if current >= 0:
            _add_run(atom, current, y, x0 + start, x0 + width, confidence, count, box, total)


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
def _mean_entropy(probabilities, weights):  # type: ignore[no-untyped-def] # pragma: no cover - compiled
    """Mean entropy over the valid pixels: that of each sample times the pixels that it is the nearest of."""
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
