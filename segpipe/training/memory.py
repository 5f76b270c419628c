"""Whether a training step fits into memory, known before training starts."""

from __future__ import annotations

import os

import torch
from torch import Tensor, nn

from segpipe.errors import TrainingError

TRIED = 256
RESERVE = 1.25
"""Buffers of the backward pass and of the kernels come on top of what autograd keeps."""


def kept_bytes(network: nn.Module, height: int, width: int, autocast: torch.dtype | None) -> int:
    """Bytes that autograd keeps for the backward pass of one picture: measured by a forward pass of a small one, times
    the area, for convolutions keep in proportion to it."""
    tried = min(height, TRIED), min(width, TRIED)
    seen: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    known = {p.untyped_storage().data_ptr() for p in network.parameters()}
    parameter = next(network.parameters())
    x = torch.zeros(2, 3, *tried, device=parameter.device)  # two: batch normalisation refuses single values
    before = {k: v.clone() for k, v in network.state_dict().items()}
    held = torch.autocast(parameter.device.type, autocast or torch.bfloat16, enabled=autocast is not None)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t), held:
        found = network(x)
        del found
    network.load_state_dict(before)  # batch normalisation counted the zeros
    kept = sum(v for k, v in seen.items() if k not in known) // 2
    return kept * height * width // (tried[0] * tried[1])


def available_bytes(device: torch.device) -> int:
    """Memory that is free on the device; of a CPU, what the system says is available."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") + _cached_bytes()
    except (ValueError, OSError):
        return 1 << 62  # not a POSIX system: nothing is known, nothing is refused


def _cached_bytes() -> int:
    try:
        with open("/proc/meminfo", encoding="ascii") as file:
            fields = {line.partition(":")[0]: line.split()[1] for line in file}
        return int(fields["Cached"]) * 1024
    except (OSError, KeyError, IndexError, ValueError):
        return 0


def check_memory(network: nn.Module, batch: int, crop: tuple[int, int], autocast: torch.dtype | None, device: torch.device) -> int:
    """Bytes that a step will need. Raises TrainingError where that is more than there is, with the largest batch that fits."""
    each = int(kept_bytes(network, *crop, autocast) * RESERVE)
    weights = sum(p.numel() * p.element_size() for p in network.parameters()) * 5  # gradient, two moments, the average
    available = available_bytes(device)
    if weights + batch * each > available:
        most = max(0, (available - weights) // max(1, each))
        raise TrainingError(
            f"a step with schedule.batch {batch} and augmentation.crop {list(crop)} needs about "
            f"{(weights + batch * each) / 1e9:.1f} GB, but {available / 1e9:.1f} GB are free: "
            + (f"batch {most} would fit" if most else "not even a batch of 1 fits; make the crop smaller")
        )
    return weights + batch * each
