"""Class statistics of a frame, from the sums that the labelling pass leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segpipe.core.results import ClassStatistics
from segpipe.inference.measures.components import Components
from segpipe.inference.measures.regions import RegionMap

NO_BOX = np.iinfo(np.int32).max
"""The x_min and y_min of a class that has no pixels: larger than any place."""


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over the pixels of each atom and class: `count` [A, C]; `box` [A, C, 4] as x_min, y_min,
    x_max, y_max; `total` [A, C, 3] of confidence, x and y. `mean_entropy` is that of the whole
    frame."""

    count: NDArray[np.int64]
    box: NDArray[np.int64]
    total: NDArray[np.float64]
    mean_entropy: float


def finish(sums: Sums, regions: RegionMap, parts: Components) -> ClassStatistics:
    """Add atoms up to regions and turn sums into statistics; `parts` are the components of the
    regions and classes."""
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
    np.divide(parts.largest, count, out=share, where=present)
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
        components=parts.count,
        largest=share,
        largest_x_min=parts.box[..., 0],
        largest_y_min=parts.box[..., 1],
        largest_x_max=parts.box[..., 2],
        largest_y_max=parts.box[..., 3],
        mean_confidence=float(total[0, :, 0].sum() / valid[0]) if valid[0] else float("nan"),
        mean_entropy=sums.mean_entropy,
    )
