"""Whether a training step fits into memory, known before training starts."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from segpipe.core.errors import TrainingError

TRIED = 256
RESERVE = 1.25
"""Buffers of the backward pass and of the kernels come on top of what autograd keeps."""


def kept_bytes(network: nn.Module, height: int, width: int, autocast: torch.dtype | None) -> int:
    """Bytes that autograd keeps for the backward pass of one picture: measured by a forward pass of
    a small one, times the area, for convolutions keep in proportion to it."""
    tried = min(height, TRIED), min(width, TRIED)
    seen: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        seen[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    known = {p.untyped_storage().data_ptr() for p in network.parameters()}
    parameter = next(network.parameters())
    # Two: batch normalisation refuses single values.
    x = torch.zeros(2, 3, *tried, device=parameter.device)
    before = {k: v.clone() for k, v in network.state_dict().items()}
    held = torch.autocast(
        parameter.device.type, autocast or torch.bfloat16, enabled=autocast is not None
    )
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t), held:
        found = network(x)
        del found
    network.load_state_dict(before)  # batch normalisation counted the zeros
    kept = sum(v for k, v in seen.items() if k not in known) // 2
    return kept * height * width // (tried[0] * tried[1])


def available_bytes(device: torch.device) -> int:
    """Memory that is free on the device; of a CPU, what the system and the container's limit
    leave."""
    if device.type == "cuda":
        return int(torch.cuda.mem_get_info(device)[0])
    limits = [_meminfo(), _container()]
    # Nothing known: nothing is refused
    return min((n for n in limits if n is not None), default=1 << 62)


def _meminfo() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return (
            int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1]) * 1024
        )
    except (OSError, StopIteration, IndexError, ValueError):
        return None


def _container(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What a container's limit (cgroup 2) leaves; None without one."""
    try:
        most, used = (
            (root / name).read_text(encoding="ascii").strip()
            for name in ("memory.max", "memory.current")
        )
    except (OSError, ValueError):
        return None
    return None if most == "max" else max(0, int(most) - int(used))


def check_memory(
    network: nn.Module,
    batch: int,
    crop: tuple[int, int],
    autocast: torch.dtype | None,
    device: torch.device,
) -> int:
    """Bytes that a step on `device` will need; the network may still be on the CPU. Raises
    TrainingError where that is more than there is, with the largest batch that fits."""
    each = int(kept_bytes(network, *crop, autocast) * RESERVE)
    # Gradient, two moments, the average.
    weights = sum(p.numel() * p.element_size() for p in network.parameters()) * 5
    available = available_bytes(device)
    if weights + batch * each > available:
        most = max(0, (available - weights) // max(1, each))
        raise TrainingError(
            f"a step with schedule.batch {batch} and augmentation.crop {list(crop)} needs about "
            f"{(weights + batch * each) / 1e9:.1f} GB, but {available / 1e9:.1f} GB are free: "
            + (
                f"batch {most} would fit"
                if most
                else "not even a batch of 1 fits; make the crop smaller"
            )
        )
    return weights + batch * each
