"""What torch's two engines share: the device, the precision, and how it says that memory is out."""

from __future__ import annotations

import contextlib
from contextlib import AbstractContextManager

import torch

from segpipe.core.config.sections import WorkerSettings
from segpipe.core.errors import ConfigError
from segpipe.inference.engines.base import Engine
from segpipe.inference.models.spec import Segmenter

_NO_MEMORY = ("allocate memory", "out of memory", "ALLOC_FAILED")
"""The CPU's allocator, pinned memory, cuBLAS and cuDNN have no class of error of their own."""
_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA when there, else the CPU. Raises ConfigError for a device that isn't."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(
            f"model.device: {name!r} is no device; allowed are auto, cpu, cuda, cuda:N"
        ) from None
    if device.type not in {"cpu", "cuda"}:
        raise ConfigError(
            f"model.device: {name!r} isn't supported; allowed are auto, cpu, cuda, cuda:N"
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(
            f"model.device: {name} isn't there ({torch.cuda.device_count()} CUDA devices found); "
            "use auto or cpu"
        )
    return device


class TorchEngine(Engine):
    """A torch network on its device. `AUTO` is the precision that `auto` stands for."""

    AUTO = "float32"

    def __init__(
        self, segmenter: Segmenter, device: torch.device, precision: str, sizes: WorkerSettings
    ) -> None:
        super().__init__(segmenter.spec, sizes)
        self.torch_device, self.device = device, str(device)
        self.segmenter = segmenter.to(device)
        self.precision = self.AUTO if precision == "auto" else precision

    def ran_out_of_memory(self, error: BaseException) -> bool:
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            return True
        return isinstance(error, RuntimeError) and any(said in str(error) for said in _NO_MEMORY)

    def autocast(self) -> AbstractContextManager[object]:
        """Lower precision where the settings ask for it."""
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.torch_device.type, _DTYPES[self.precision])
