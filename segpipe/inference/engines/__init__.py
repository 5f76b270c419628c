"""What runs a model: `model.engine` names one of `ENGINES`."""

from __future__ import annotations

from collections.abc import Callable

from segpipe.core.config.sections import ModelSettings, WorkerSettings
from segpipe.core.errors import ConfigError
from segpipe.inference.engines.base import Engine
from segpipe.inference.models.spec import Segmenter

__all__ = ["ENGINES", "Engine", "LoadEngine", "load_engine"]

LoadEngine = Callable[[Segmenter, ModelSettings, WorkerSettings], Engine]
"""Makes an engine for a model. It raises ConfigError for a device or precision that isn't there."""


def _torch(segmenter: Segmenter, settings: ModelSettings, sizes: WorkerSettings) -> Engine:
    from segpipe.inference.engines.torch_cpu import TorchCpuEngine
    from segpipe.inference.engines.torch_cuda import TorchCudaEngine
    from segpipe.inference.engines.torch_engine import choose_device

    device = choose_device(settings.device)
    kind = TorchCudaEngine if device.type == "cuda" else TorchCpuEngine
    return kind(segmenter, device, settings.precision, sizes)


ENGINES: dict[str, LoadEngine] = {
    "torch": _torch,
}
"""A row for each engine: its name, and what loads it. Libraries are imported by the loader."""


def load_engine(segmenter: Segmenter, settings: ModelSettings, sizes: WorkerSettings) -> Engine:
    """The engine that the settings name, with the model on its device. Raises ConfigError for an
    unknown name, and what the engine's loader raises."""
    if settings.engine not in ENGINES:
        raise ConfigError(
            f"model.engine: {settings.engine!r} is unknown; allowed are {', '.join(ENGINES)}"
        )
    return ENGINES[settings.engine](segmenter, settings, sizes)
