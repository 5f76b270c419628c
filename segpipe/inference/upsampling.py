"""From the network's logits to labels at the frame's size and their statistics, on a CPU, in one
pass.

Logits are interpolated bilinearly (as torch's `interpolate` with `align_corners=False`) and the
largest wins. Where the four samples around a pixel agree on a class, every blend of them does too
(a weighted mean keeps the order), so that nothing has to be computed there: this is what makes
full-size labels cheap. Confidence and entropy are taken from the softmax at the network's own
resolution, at the sample nearest to the pixel (docs/adr/0003).
"""

from __future__ import annotations

import numpy as np

from segpipe.core.results import ClassStatistics
from segpipe.core.types import VOID, Float32, InputGeometry, UInt8
from segpipe.inference.axes import axes
from segpipe.inference.measures.class_stats import NO_BOX, Sums, finish
from segpipe.inference.measures.components import components
from segpipe.inference.measures.regions import RegionMap
from segpipe.inference.upsampling_loops import label_rows, mean_entropy


def labels_and_statistics(
    logits: Float32,
    probabilities: Float32,
    view: InputGeometry,
    input_height: int,
    input_width: int,
    regions: RegionMap,
) -> tuple[UInt8, ClassStatistics]:
    """Labels uint8 [H, W] and statistics for one frame.

    `logits` and `probabilities` are float32 [h, w, C], `input_height` and `input_width` the size of
    the network's input, to which the view refers; `regions` are those of the frame's size.
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
    label_rows(
        np.ascontiguousarray(logits),
        probabilities,
        winners,
        ys,
        xs,
        view.y0,
        view.x0,
        regions.atoms,
        labels,
        count,
        box,
        total,
        weights,
    )
    sums = Sums(count, box, total, float(mean_entropy(probabilities, weights)))
    return labels, finish(sums, regions, components(labels, regions, classes))


def pixel_confidence(
    labels: UInt8,
    probabilities: Float32,
    view: InputGeometry,
    input_height: int,
    input_width: int,
) -> Float32:
    """The confidence of each label, float32 [H, W]: the probability float32 [h, w, C] of its class
    at the network's sample nearest to the pixel, which the statistics average; 0 where the label is
    VOID."""
    rows, columns, classes = probabilities.shape
    ys, xs = axes(view, input_height, input_width, rows, columns)
    seen = np.minimum(labels[view.y0 : view.y1, view.x0 : view.x1], classes - 1)
    confidence = np.zeros(labels.shape, np.float32)
    confidence[view.y0 : view.y1, view.x0 : view.x1] = probabilities[
        ys.nearest[:, None], xs.nearest[None, :], seen
    ]
    confidence[labels == VOID] = 0.0
    return confidence
