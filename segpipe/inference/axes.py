"""Where a view's pixels lie among the network's samples, along both axes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from segpipe.core.types import Float32, InputGeometry

Int32 = NDArray[np.int32]


class Axis(NamedTuple):
    """For each seen pixel along one axis: the two samples around it, the second's weight, and the
    nearest sample."""

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


def axes(
    view: InputGeometry, input_height: int, input_width: int, rows: int, columns: int
) -> tuple[Axis, Axis]:
    """Both axes of a view for logits of rows x columns."""
    return (
        axis(view.y0, view.y1, view.scale_y, view.offset_y, input_height, rows),
        axis(view.x0, view.x1, view.scale_x, view.offset_x, input_width, columns),
    )
