"""`train`: from a job to a model folder. Everything that can be wrong is found before the first step."""

from __future__ import annotations

import logging
import signal
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, LearningRateMonitor, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.loggers import TensorBoardLogger
from lightning.pytorch.utilities.exceptions import MisconfigurationException  # type: ignore[attr-defined]
from torch import Tensor

from segpipe.errors import ConfigError, TrainingError
from segpipe.training.augment import EpochSampler
from segpipe.training.callbacks import History, StopsBetweenBatches, moving_average
from segpipe.training.folder import save_model
from segpipe.training.losses import WeightedSum
from segpipe.training.module import SegmentationModule
from segpipe.training.run_folder import BEST, LAST, WholeCheckpoints, begin, check_run, describe_run, held, read_checkpoint
from segpipe.training.settings import TrainingJob
from segpipe.training.setup import Prepared, device_of, precision_of, prepare, preprocessing_of, training_loader, validation_loader


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a run gave: `model` is the folder, `miou` (0 to 1) that of the weights kept, on the validation images, and
    `peak_gpu_bytes` what tensors took on the GPU at most (0 on a processor)."""

    model: Path
    epochs: int
    steps: int
    seconds: float
    miou: float
    resumed_from: int
    peak_gpu_bytes: int


def train(job: TrainingJob, fresh: bool = False, progress: bool = True, extra: tuple[Callback, ...] = ()) -> TrainingReport:
    """Train, validate, keep checkpoints, and write the model folder `OUTPUT/model`.

    A run that was killed goes on from its last whole epoch when started again with the same job, and ends as it would
    have; with another job it is refused, unless `fresh` throws the old run away.
    """
    out = Path(job.output).expanduser()
    ready = prepare(job)
    now = describe_run(job, ready.taxonomy, ready.train)
    check_run(out, now, fresh)
    with held(out):
        sampler = EpochSampler(ready.train, job.schedule.images_per_epoch, job.schedule.balance, job.seed)
        module = SegmentationModule(ready.network, WeightedSum(job.loss, ready.train.shares), job, ready.taxonomy.names)
        history = History(out)
        trainer = _trainer(job, out, [*_callbacks(job, out, history, progress), *extra], progress)
        begin(out, now, fresh)
        resumed = _fit(trainer, module, ready, sampler, out / LAST)
        if not trainer.is_global_zero:  # another process of the same run writes the model
            sys.exit(0)
        state, miou, steps = _kept(job, out, history)
        ready.network.load_state_dict(state)
        folder = save_model(ready.network, ready.taxonomy, preprocessing_of(job), out / "model")
    return TrainingReport(folder, len(history.rows), steps, history.seconds, miou, resumed, _peak_gpu_bytes())


def _fit(trainer: pl.Trainer, module: SegmentationModule, ready: Prepared, sampler: EpochSampler, last: Path) -> int:
    """Run Lightning's loop, from the last checkpoint where there is one; returns the epochs done before."""
    before = read_checkpoint(last) if last.exists() else None
    if before is not None and (stopped_early(before) or int(before["epoch"]) + 1 >= ready.job.schedule.epochs):
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, History):
                callback.load_state_dict(before["callbacks"][callback.state_key])
        return int(before["epoch"]) + 1
    # Lightning sets the epoch too late for the first one: loader processes ask for samples as soon as they start.
    sampler.set_epoch(int(before["epoch"]) + 1 if before is not None else 0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning|torch")
        try:
            trainer.fit(
                module, training_loader(ready, sampler), validation_loader(ready),
                ckpt_path=str(last) if before is not None else None, weights_only=True,
            )  # fmt: skip
        except SystemExit:  # what Lightning makes of Ctrl-C, with SIGINT ignored from then on
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from None
        except (RuntimeError, MemoryError) as error:
            text = " ".join(str(error).split())[:160]
            if not isinstance(error, (torch.OutOfMemoryError, MemoryError)) and "can't allocate memory" not in text:
                raise
            raise TrainingError(
                f"out of memory ({text}); make schedule.batch or augmentation.crop smaller, and run the same command with --fresh"
            ) from None
    return int(before["epoch"]) + 1 if before is not None else 0


def stopped_early(checkpoint: dict[str, Any]) -> bool:
    """Whether the run had ended by `schedule.patience`, which Lightning forgets when it goes on."""
    states = [v for k, v in checkpoint.get("callbacks", {}).items() if k.startswith("EarlyStopping")]
    return any(s["wait_count"] >= s["patience"] for s in states)


def _peak_gpu_bytes() -> int:
    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0


def _callbacks(job: TrainingJob, out: Path, history: History, progress: bool) -> list[Callback]:
    folder = out / "checkpoints"
    best = ModelCheckpoint(folder, "best", monitor="val/miou", mode="max", enable_version_counter=False)
    last = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    callbacks: list[Callback] = [moving_average(job.schedule.average)] if job.schedule.average else []
    callbacks += [StopsBetweenBatches(), history, best, last, LearningRateMonitor("step")]
    if job.schedule.patience:
        callbacks.append(EarlyStopping("val/miou", mode="max", patience=job.schedule.patience))
    return [*callbacks, *([TQDMProgressBar()] if progress else [])]


def _trainer(job: TrainingJob, out: Path, callbacks: list[Callback], progress: bool) -> pl.Trainer:
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        return _made_trainer(job, out, callbacks, progress)
    except (ValueError, RuntimeError, TypeError, MisconfigurationException) as error:
        raise ConfigError(f"machine: Lightning refuses it ({' '.join(str(error).split())[:300]})") from None


def _made_trainer(job: TrainingJob, out: Path, callbacks: list[Callback], progress: bool) -> pl.Trainer:
    machine = job.machine
    return pl.Trainer(
        accelerator="cpu" if device_of(job).type == "cpu" else "gpu", devices=machine.devices, strategy=machine.strategy,
        precision=precision_of(job), max_epochs=job.schedule.epochs, check_val_every_n_epoch=job.schedule.validate_every,
        gradient_clip_val=job.optimiser.clip or None, callbacks=callbacks, default_root_dir=out,
        logger=TensorBoardLogger(out, name="tensorboard", version=""), num_sanity_val_steps=0, use_distributed_sampler=False,
        enable_progress_bar=progress, enable_model_summary=False, log_every_n_steps=10,
        plugins=[WholeCheckpoints()],
    )  # fmt: skip


def _kept(job: TrainingJob, out: Path, history: History) -> tuple[dict[str, Tensor], float, int]:
    """The network's weights that are kept, their mean IoU where it was measured, and the steps of the whole run."""
    scores = [r["val/miou"] for r in history.rows if "val/miou" in r]
    keep_last = job.schedule.keep == "last" or not (out / BEST).exists()
    # Where weights are averaged, a checkpoint's state_dict is the average.
    state = read_checkpoint(out / (LAST if keep_last else BEST))["state_dict"]
    miou = (scores[-1] if keep_last else max(scores)) if scores else float("nan")
    steps = int(history.rows[-1]["step"]) if history.rows else 0
    return {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}, miou, steps
