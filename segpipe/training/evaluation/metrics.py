"""What is counted on labelled images, and the figures made of the counts. Checked against
torchmetrics in the tests."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from segpipe.core.types import VOID, Float32, UInt8

BINS = 15
BOUNDARY_TOLERANCE = 0.0075
"""Share of the picture's diagonal by which a boundary may be off (Csurka and others, 2013)."""
Counts = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(slots=True)
class Tally:
    """Counts of one or many pictures. `confusion` int64 [C, C + 1]: true class by found class, the
    last column for what is none of them. `bins` float64 [BINS, 3]: pixels, sum of confidence,
    pixels that are right. `boundary` float64 [C, 2]: sum of boundary F1 and number of pictures."""

    classes: int
    confusion: Counts = field(init=False)
    bins: Floats = field(init=False)
    boundary: Floats = field(init=False)

    def __post_init__(self) -> None:
        self.confusion = np.zeros((self.classes, self.classes + 1), np.int64)
        self.bins = np.zeros((BINS, 3))
        self.boundary = np.zeros((self.classes, 2))

    def add(self, truth: UInt8, found: UInt8, confidence: Float32) -> None:
        """Count a picture: classes uint8 [H, W] (VOID in the truth is not counted), confidence
        float32 [H, W]."""
        known = truth != VOID
        t, f = truth[known].astype(np.int64), np.minimum(found[known], self.classes)
        width = self.classes + 1
        self.confusion += np.bincount(t * width + f, minlength=self.classes * width).reshape(
            self.classes, width
        )
        sure = confidence[known]
        place = np.minimum((sure * BINS).astype(np.int64), BINS - 1)
        for column, weight in enumerate((None, sure, t == f)):
            self.bins[:, column] += np.bincount(place, weight, BINS)
        self.boundary += boundary_f1(truth, found, self.classes)

    def merge(self, other: Tally) -> None:
        """Add another tally's counts."""
        self.confusion += other.confusion
        self.bins += other.bins
        self.boundary += other.boundary

    @property
    def iou(self) -> Floats:
        """Intersection over union of each class, float [C]; NaN for one that is neither true nor
        found anywhere."""
        return iou_of(self.confusion)

    @property
    def mean_iou(self) -> float:
        """Mean of the classes that occur in the truth or were found."""
        return float(np.nanmean(self.iou)) if self.confusion.any() else float("nan")

    @property
    def accuracy(self) -> float:
        """Share of labelled pixels that are right."""
        return float(np.trace(self.confusion[:, :-1]) / max(1, self.confusion.sum()))

    @property
    def boundary_f1(self) -> Floats:
        """Mean boundary F1 of each class over the pictures that hold it, float [C]; NaN where none
        does."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.boundary[:, 0] / self.boundary[:, 1])

    @property
    def calibration_error(self) -> float:
        """Expected calibration error (Guo and others, 2017): mean distance of confidence and
        accuracy over BINS bins."""
        pixels, sure, right = self.bins.T
        return float(np.abs(sure - right).sum() / max(1.0, pixels.sum()))


def iou_of(confusion: Counts) -> Floats:
    """IoU float [C] out of counts [C, C + 1]."""
    inside = np.diagonal(confusion).astype(np.float64)
    union = confusion.sum(1) + confusion[:, :-1].sum(0) - inside
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(inside / union)


def boundary_f1(truth: UInt8, found: UInt8, classes: int) -> Floats:
    """Boundary F1 of each class of one picture, float [C, 2]: the score, and 1 where the truth
    holds a boundary of it.

    Precision is the share of the found boundary that lies within the tolerance of a true one,
    recall the other way round (Csurka and others, What is a good evaluation measure for semantic
    segmentation?, 2013). Boundaries against void are left out.
    """
    tolerance = max(1.0, BOUNDARY_TOLERANCE * float(np.hypot(*truth.shape)))
    kernel = np.ones((3, 3), np.uint8)
    inside = np.asarray(cv2.erode((truth != VOID).astype(np.uint8), kernel), np.uint8)
    result = np.zeros((classes, 2))
    for c in np.unique(truth[truth < classes]):
        true_edge, found_edge = _edge(truth == c, kernel, inside), _edge(found == c, kernel, inside)
        if not true_edge.any():
            continue
        result[c, 1] = 1
        if found_edge.any():
            precision = (_distance_to(true_edge)[found_edge] <= tolerance).mean()
            recall = (_distance_to(found_edge)[true_edge] <= tolerance).mean()
            result[c, 0] = 2 * precision * recall / max(1e-12, precision + recall)
    return result


def _edge(mask: NDArray[np.bool_], kernel: UInt8, inside: UInt8) -> NDArray[np.bool_]:
    """Pixels of the mask that touch something else; the picture's rim is none."""
    whole = mask.astype(np.uint8)
    return np.asarray((whole != cv2.erode(whole, kernel)) & (inside > 0))


def _distance_to(edge: NDArray[np.bool_]) -> Float32:
    return cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)  # type: ignore[return-value]
