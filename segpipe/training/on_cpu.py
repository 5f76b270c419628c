"""What makes training on a CPU faster: memory that is kept, and depthwise convolutions in float32.

oneDNN has no fast backward pass for depthwise convolutions in bfloat16: it takes several times as
long as in float32, and most of a training step of an EfficientNet. `python -m
tests.benchmarks.training_step` prints a step with and without.
"""

from __future__ import annotations

import ctypes
import logging
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn

log = logging.getLogger(__name__)
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
KEEP_BYTES = 1 << 30


def keep_memory() -> None:
    """Have glibc keep freed memory instead of giving it back: each step asks for the same pages
    again, and getting them from the system means that it zeroes them first. Does nothing on other C
    libraries."""
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(_M_MMAP_THRESHOLD, KEEP_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, KEEP_BYTES)
    except (OSError, AttributeError):
        log.debug("no glibc: freed memory goes back to the system")


@lru_cache(maxsize=16)
def _in_float32(kind: Any) -> type[nn.Conv2d]:
    class DepthwiseInFloat32(kind):  # type: ignore[misc, valid-type]
        def forward(self, x: Tensor, *rest: Any, **more: Any) -> Tensor:
            with torch.autocast(x.device.type, enabled=False):
                found: Tensor = super().forward(x.float(), *rest, **more)
            return found.to(x.dtype)

    return DepthwiseInFloat32


def depthwise_in_float32(module: nn.Module) -> int:
    """Make every depthwise convolution compute in float32, in place; returns how many there are.
    Weights are untouched."""
    found = [
        m for m in module.modules() if isinstance(m, nn.Conv2d) and 1 < m.groups == m.in_channels
    ]
    for convolution in found:
        # Changing the class keeps parameters, hooks and deep copies as they are, which a patched
        # `forward` would not.
        convolution.__class__ = _in_float32(type(convolution))  # type: ignore[arg-type]
    return len(found)
