"""`train`: from a job to a model folder. Everything that can be wrong is found before the first step."""

from __future__ import annotations

import json
import logging
import shutil
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
from torch import Tensor

from segpipe.errors import TrainingError
from segpipe.store.files import write_text
from segpipe.training.augment import EpochSampler
from segpipe.training.callbacks import History, moving_average
from segpipe.training.folder import save_model
from segpipe.training.losses import WeightedSum
from segpipe.training.module import SegmentationModule
from segpipe.training.settings import TrainingJob
from segpipe.training.setup import device_of, precision_of, prepare, preprocessing_of, training_loader, validation_loader


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
    last = out / "checkpoints" / "last.ckpt"
    _check_output(job, out, fresh)
    ready = prepare(job)
    out.mkdir(parents=True, exist_ok=True)
    if fresh:
        _forget(out)
    write_text(out / "job.json", job.model_dump_json(indent=2) + "\n")
    sampler = EpochSampler(ready.train, job.schedule.images_per_epoch, job.schedule.balance, job.seed)
    module = SegmentationModule(ready.network, WeightedSum(job.loss, ready.train.shares), job, ready.taxonomy.names)
    history = History(out)
    callbacks, best = _callbacks(job, out, history, progress)
    trainer = _trainer(job, out, [*callbacks, *extra], progress)
    resumed = _epochs_in(last) if last.exists() else 0
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning|torch")
        try:
            trainer.fit(
                module,
                training_loader(ready, sampler),
                validation_loader(ready),
                ckpt_path=str(last) if last.exists() else None,
                weights_only=True,
            )
        except SystemExit:  # what Lightning makes of Ctrl-C, with SIGINT ignored from then on
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from None
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise TrainingError(
                f"out of memory ({' '.join(str(error).split())[:160]}); make schedule.batch or augmentation.crop smaller, and run "
                "the same command with --fresh"
            ) from None
    if not trainer.is_global_zero:  # another process of the same run writes the model
        sys.exit(0)
    state, miou = _kept(job, out, best, history)
    ready.network.load_state_dict(state)
    folder = save_model(ready.network, ready.taxonomy, preprocessing_of(job), out / "model")
    return TrainingReport(folder, len(history.rows), trainer.global_step, history.seconds, miou, resumed, _peak_gpu_bytes())


def _peak_gpu_bytes() -> int:
    return int(torch.cuda.max_memory_allocated()) if torch.cuda.is_available() else 0


def _check_output(job: TrainingJob, out: Path, fresh: bool) -> None:
    saved = out / "job.json"
    if fresh or not saved.exists():
        return
    before = TrainingJob.model_validate(json.loads(saved.read_text(encoding="utf-8")))
    now, then = what_is_learnt(job), what_is_learnt(before)
    different = sorted(k for k in now if now[k] != then[k])
    if different:
        raise TrainingError(
            f"{out}: holds a run with other settings ({', '.join(different)} differ); go on with the old ones, choose another "
            "output, or throw the old run away with --fresh"
        )


def _forget(out: Path) -> None:
    for name in ("checkpoints", "model", "tensorboard"):
        shutil.rmtree(out / name, ignore_errors=True)
    for name in ("history.csv", "curves.png"):
        (out / name).unlink(missing_ok=True)


def _callbacks(job: TrainingJob, out: Path, history: History, progress: bool) -> tuple[list[Callback], ModelCheckpoint]:
    folder = out / "checkpoints"
    best = ModelCheckpoint(folder, "best", monitor="val/miou", mode="max", enable_version_counter=False)
    last = ModelCheckpoint(folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
    callbacks: list[Callback] = [moving_average(job.schedule.average)] if job.schedule.average else []
    callbacks += [history, best, last, LearningRateMonitor("step")]
    if job.schedule.patience:
        callbacks.append(EarlyStopping("val/miou", mode="max", patience=job.schedule.patience))
    return [*callbacks, *([TQDMProgressBar()] if progress else [])], best


def _trainer(job: TrainingJob, out: Path, callbacks: list[Callback], progress: bool) -> pl.Trainer:
    for name in ("lightning.pytorch.utilities.rank_zero", "lightning.pytorch.accelerators.cuda", "lightning.fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    machine = job.machine
    return pl.Trainer(
        accelerator="cpu" if device_of(job).type == "cpu" else "gpu", devices=machine.devices, strategy=machine.strategy,
        precision=precision_of(job), max_epochs=job.schedule.epochs, check_val_every_n_epoch=job.schedule.validate_every,
        gradient_clip_val=job.optimiser.clip or None, callbacks=callbacks, default_root_dir=out,
        logger=TensorBoardLogger(out, name="tensorboard", version=""), num_sanity_val_steps=0, use_distributed_sampler=False,
        enable_progress_bar=progress, enable_model_summary=False, log_every_n_steps=10,
    )  # fmt: skip


def _epochs_in(checkpoint: Path) -> int:
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"]) + 1


def _kept(job: TrainingJob, out: Path, best: ModelCheckpoint, history: History) -> tuple[dict[str, Tensor], float]:
    """The network's weights that are kept, and their mean IoU where it was measured (the last validation's for `last`)."""
    scores = [r["val/miou"] for r in history.rows if "val/miou" in r]
    keep_last = job.schedule.keep == "last" or not best.best_model_path
    # Where weights are averaged, a checkpoint's state_dict is the average.
    file = out / "checkpoints" / "last.ckpt" if keep_last else Path(best.best_model_path)
    state = torch.load(file, map_location="cpu", weights_only=True)["state_dict"]
    miou = (scores[-1] if keep_last else max(scores)) if scores else float("nan")
    return {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}, miou


def what_is_learnt(job: TrainingJob) -> dict[str, Any]:
    """The settings that decide the weights: another machine or folder changes no more than rounding, and the size at
    which the model is used changes nothing where validation doesn't choose the weights."""
    found = job.model_dump()
    for key in ("output", "card", "machine"):
        del found[key]
    if job.schedule.keep == "last" and not job.schedule.patience:
        del found["input"]["shortest_edge"]
    return found
