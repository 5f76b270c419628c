"""What comes out for a frame: labels and statistics. No behaviour, no heavy imports."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from segpipe.core.types import Float32, FrameRef, UInt8, Values


@dataclass(frozen=True, slots=True)
class ClassStatistics:
    """Statistics of one frame over its valid pixels, an entry per region and class (arrays [R, C]);
    region 0 is the whole frame.

    `confidence` is the mean probability of the class over its pixels, NaN where it has none. Boxes
    are inclusive pixel positions, -1 where there is none; centroids are means of pixel positions.
    `components` counts the connected (8 neighbours) parts of a class within the region, `largest`
    is the biggest one's share of its pixels, and `largest_x_min` to `largest_y_max` are its box.
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
    largest_x_min: NDArray[np.int64]
    largest_y_min: NDArray[np.int64]
    largest_x_max: NDArray[np.int64]
    largest_y_max: NDArray[np.int64]
    mean_confidence: float
    mean_entropy: float


@dataclass(frozen=True, slots=True)
class FrameResult:
    """What the worker found: `labels` uint8 [H, W] at the frame's size (VOID where unseen or
    ignored), and its statistics.

    `picture` is what was measured of the full picture. `confidence` float32 [H, W] is that of each
    label (0 where it is VOID), where it was asked for.
    """

    ref: FrameRef
    labels: UInt8
    statistics: ClassStatistics
    picture: Values = field(default_factory=dict)
    confidence: Float32 | None = None
