"""Run-length masks: a label map as two columns, values and lengths, in row-major order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segpipe.core.types import UInt8
from segpipe.runtime.files.memory import VARIABLE, most_bytes

BYTES_A_PIXEL = 16
"""What it may take to look at a pixel of a mask: regions, components and colours come to it."""


def encode(labels: UInt8) -> tuple[UInt8, NDArray[np.uint32]]:
    """Run lengths of a label map uint8 [H, W]: values uint8 [R] and lengths uint32 [R], which sum
    to H x W."""
    flat = np.ascontiguousarray(labels).reshape(-1)
    if not flat.size:
        return np.empty(0, np.uint8), np.empty(0, np.uint32)
    starts = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = np.concatenate((np.zeros(1, starts.dtype), starts))
    lengths = np.diff(starts, append=flat.size).astype(np.uint32)
    return flat[starts], lengths


def decode(values: UInt8, lengths: NDArray[np.uint32], height: int, width: int) -> UInt8:
    """The label map uint8 [H, W] behind run lengths. Raises ValueError where they don't fill it
    exactly, or it is larger than may be unfolded: a few bytes may name gigabytes."""
    most = most_bytes() // BYTES_A_PIXEL
    if min(height, width) < 0 or height * width > most:
        raise ValueError(
            f"a mask of {height} x {width} pixels; at most {most} are unfolded ({VARIABLE} allows "
            "more)"
        )
    total = int(np.sum(lengths, dtype=np.int64))
    if len(values) != len(lengths) or total != height * width:
        raise ValueError(
            f"{len(values)} values and {len(lengths)} lengths of {total} pixels don't fill "
            f"{height} x {width}"
        )
    return np.repeat(np.asarray(values, np.uint8), lengths).reshape(height, width)
