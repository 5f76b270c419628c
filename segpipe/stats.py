"""Class statistics of a frame, from the sums that the labelling pass leaves."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segpipe.frames import ClassStatistics


def finish(count: NDArray[np.int64], box: NDArray[np.int64], total: NDArray[np.float64], mean_entropy: float) -> ClassStatistics:
    """Turn sums into statistics.

    `count` [C] pixels; `box` [C, 4] as x_min, y_min, x_max, y_max; `total` [C, 3] sums of confidence, x and y.
    """
    valid = int(count.sum())
    present = count > 0
    mean = np.full(total.shape, np.nan)
    np.divide(total, count[:, None], out=mean, where=present[:, None])
    box = np.where(present[:, None], box, -1)
    return ClassStatistics(
        pixel_count=count,
        confidence=mean[:, 0],
        x_min=box[:, 0],
        y_min=box[:, 1],
        x_max=box[:, 2],
        y_max=box[:, 3],
        centroid_x=mean[:, 1],
        centroid_y=mean[:, 2],
        valid_pixels=valid,
        mean_confidence=float(total[:, 0].sum() / valid) if valid else float("nan"),
        mean_entropy=mean_entropy,
    )
