"""Lightning's trainer for a training job."""

from __future__ import annotations

import logging
from pathlib import Path

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]

from segpipe.core.errors import ConfigError
from segpipe.training.callbacks import History, StopsBetweenBatches, moving_average
from segpipe.training.machine import device_of, precision_of
from segpipe.training.run_folder import (
    WholeCheckpoints,
)
from segpipe.training.settings import TrainingJob


def peak_gpu_bytes() -> int:
    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0


def make_callbacks(job: TrainingJob, out: Path, history: History, progress: bool) -> list[Callback]:
    folder = out / "checkpoints"
    best = ModelCheckpoint(
        folder, "best", monitor="val/miou", mode="max", enable_version_counter=False
    )
    last = ModelCheckpoint(
        folder, "last", save_on_train_epoch_end=True, enable_version_counter=False
    )
    callbacks: list[Callback] = (
        [moving_average(job.schedule.average)] if job.schedule.average else []
    )
    callbacks += [StopsBetweenBatches(), history, best, last, LearningRateMonitor("step")]
    if job.schedule.patience:
        callbacks.append(EarlyStopping("val/miou", mode="max", patience=job.schedule.patience))
    return [*callbacks, *([TQDMProgressBar()] if progress else [])]


def make_trainer(
    job: TrainingJob, out: Path, callbacks: list[Callback], progress: bool
) -> pl.Trainer:
    for name in (
        "lightning.pytorch.utilities.rank_zero",
        "lightning.pytorch.accelerators.cuda",
        "lightning.fabric",
    ):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        return _made_trainer(job, out, callbacks, progress)
    except (ValueError, RuntimeError, TypeError, MisconfigurationException) as error:
        raise ConfigError(
            f"machine: Lightning refuses it ({' '.join(str(error).split())[:300]})"
        ) from None


def _made_trainer(
    job: TrainingJob, out: Path, callbacks: list[Callback], progress: bool
) -> pl.Trainer:
    machine = job.machine
    return pl.Trainer(
        accelerator="cpu" if device_of(job).type == "cpu" else "gpu",
        devices=machine.devices,
        strategy=machine.strategy,
        precision=precision_of(job),
        max_epochs=job.schedule.epochs,
        check_val_every_n_epoch=job.schedule.validate_every,
        gradient_clip_val=job.optimiser.clip or None,
        callbacks=callbacks,
        default_root_dir=out,
        logger=TensorBoardLogger(out, name="tensorboard", version=""),
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=progress,
        enable_model_summary=False,
        log_every_n_steps=10,
        plugins=[WholeCheckpoints()],
    )
