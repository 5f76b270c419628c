"""Which device a training runs on, and at which precision."""

from __future__ import annotations

from typing import Any

import torch

from segpipe.core.errors import TrainingError
from segpipe.training.settings import TrainingJob


def device_of(job: TrainingJob) -> torch.device:
    """Where the first step will run."""
    wanted = job.machine.accelerator
    if wanted == "gpu" and not torch.cuda.is_available():
        raise TrainingError("machine.accelerator: gpu, but no CUDA device is here; use auto or cpu")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def precision_of(job: TrainingJob) -> Any:
    """Lightning's name of the precision; `auto` is bfloat16 autocast on a GPU that has it, else
    float16, else float32."""
    if job.machine.precision != "auto":
        return job.machine.precision
    if device_of(job).type == "cpu":
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"
