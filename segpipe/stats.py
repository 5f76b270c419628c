"""Class statistics of a frame, from the sums that the labelling pass leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segpipe.regions import RegionMap
from segpipe.results import ClassStatistics

NO_BOX = np.iinfo(np.int32).max
"""The x_min and y_min of a class that has no pixels: larger than any place."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over the pixels of each atom and class: `count` [A, C]; `box` [A, C, 4] as x_min, y_min, x_max, y_max; `total`
    [A, C, 3] of confidence, x and y. `mean_entropy` is that of the whole frame."""

    count: NDArray[np.int64]
    box: NDArray[np.int64]
    total: NDArray[np.float64]
    mean_entropy: float


def finish(sums: Sums, regions: RegionMap, components: NDArray[np.int64], largest: NDArray[np.int64]) -> ClassStatistics:
    """Add atoms up to regions and turn sums into statistics. `components` and `largest` (pixels) are int64 [R, C]."""
    member = regions.membership
    count = np.einsum("ra,ac->rc", member.astype(np.int64), sums.count)
    total = np.einsum("ra,acn->rcn", member.astype(np.float64), sums.total)
    chosen = member[:, :, None, None]
    low = np.where(chosen, sums.box[None, ..., :2], NO_BOX).min(axis=1)
    high = np.where(chosen, sums.box[None, ..., 2:], -1).max(axis=1)
    present = count > 0
    mean = np.full(total.shape, np.nan)
    np.divide(total, count[..., None], out=mean, where=present[..., None])
    low = np.where(present[..., None], low, -1)
    valid = count.sum(axis=1)
    share = np.zeros(count.shape)
    np.divide(largest, count, out=share, where=present)
    return ClassStatistics(
        regions=regions.names,
        valid_pixels=valid,
        pixel_count=count,
        confidence=mean[..., 0],
        x_min=low[..., 0],
        y_min=low[..., 1],
        x_max=high[..., 0],
        y_max=high[..., 1],
        centroid_x=mean[..., 1],
        centroid_y=mean[..., 2],
        components=components,
        largest=share,
        mean_confidence=float(total[0, :, 0].sum() / valid[0]) if valid[0] else float("nan"),
        mean_entropy=sums.mean_entropy,
    )
