"""What comes out for a frame: labels, statistics, and the verdict on it. No behaviour, no heavy imports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segpipe.frames import FrameRef, Quality, UInt8


@dataclass(frozen=True, slots=True)
class ClassStatistics:
    """Statistics of one frame over its valid pixels, an entry per region and class (arrays [R, C]); region 0 is the whole
    frame.

    `confidence` is the mean probability of the class over its pixels, NaN where it has none. Boxes are inclusive
    pixel positions, -1 where there is none; centroids are means of pixel positions. `components` counts the connected
    (8 neighbours) parts of a class within the region, and `largest` is the biggest one's share of its pixels.
    """

    regions: tuple[str, ...]
    valid_pixels: NDArray[np.int64]
    pixel_count: NDArray[np.int64]
    confidence: NDArray[np.float64]
    x_min: NDArray[np.int64]
    y_min: NDArray[np.int64]
    x_max: NDArray[np.int64]
    y_max: NDArray[np.int64]
    centroid_x: NDArray[np.float64]
    centroid_y: NDArray[np.float64]
    components: NDArray[np.int64]
    largest: NDArray[np.float64]
    mean_confidence: float
    mean_entropy: float


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What the worker found: `labels` uint8 [H, W] at the frame's size (VOID where unseen or ignored) and its statistics."""

    ref: FrameRef
    labels: UInt8
    statistics: ClassStatistics
    quality: Quality | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is said of a frame in the end: the share of valid pixels with another class than in the frame before (None for
    the first, after a failed one, and for images), and whether it passes the thresholds of the config."""

    changed_fraction: float | None
    usable: bool
