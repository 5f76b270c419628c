"""`train`: from a job to a model folder. Everything that can be wrong is found before the first
step."""

from __future__ import annotations

import signal
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
from lightning.pytorch.callbacks import (
    Callback,
)
from torch import Tensor

from segpipe.core.errors import TrainingError
from segpipe.training.callbacks import History
from segpipe.training.epoch_sampler import EpochSampler
from segpipe.training.folder import preprocessing_of, save_model
from segpipe.training.loaders import training_loader, validation_loader
from segpipe.training.losses import WeightedSum
from segpipe.training.module import SegmentationModule
from segpipe.training.run_folder import (
    BEST,
    LAST,
    begin,
    check_run,
    describe_run,
    held,
    read_checkpoint,
)
from segpipe.training.settings import TrainingJob
from segpipe.training.setup import Prepared, prepare
from segpipe.training.trainer import make_callbacks, make_trainer, peak_gpu_bytes


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a run gave: `model` is the folder, `miou` (0 to 1) that of the weights kept, on the
    validation images, and `peak_gpu_bytes` what tensors took on the GPU at most (0 on a processor).
    """

    model: Path
    epochs: int
    steps: int
    seconds: float
    miou: float
    resumed_from: int
    peak_gpu_bytes: int


def train(
    job: TrainingJob, fresh: bool = False, progress: bool = True, extra: tuple[Callback, ...] = ()
) -> TrainingReport:
    """Train, validate, keep checkpoints, and write the model folder `OUTPUT/model`.

    A run that was killed goes on from its last whole epoch when started again with the same job,
    and ends as it would have; with another job it is refused, unless `fresh` throws the old run
    away.
    """
    out = Path(job.output).expanduser()
    ready = prepare(job)
    now = describe_run(job, ready.taxonomy, ready.train)
    check_run(out, now, fresh)
    with held(out):
        sampler = EpochSampler(
            ready.train, job.schedule.images_per_epoch, job.schedule.balance, job.seed
        )
        module = SegmentationModule(
            ready.network, WeightedSum(job.loss, ready.train.shares), job, ready.taxonomy.names
        )
        history = History(out)
        trainer = make_trainer(
            job, out, [*make_callbacks(job, out, history, progress), *extra], progress
        )
        begin(out, now, fresh)
        resumed = _fit(trainer, module, ready, sampler, out / LAST)
        if not trainer.is_global_zero:  # another process of the same run writes the model
            sys.exit(0)
        state, miou, steps = _kept(job, out, history)
        ready.network.load_state_dict(state)
        folder = save_model(ready.network, ready.taxonomy, preprocessing_of(job), out / "model")
    return TrainingReport(
        folder, len(history.rows), steps, history.seconds, miou, resumed, peak_gpu_bytes()
    )


def _fit(
    trainer: pl.Trainer,
    module: SegmentationModule,
    ready: Prepared,
    sampler: EpochSampler,
    last: Path,
) -> int:
    """Run Lightning's loop, from the last checkpoint where there is one; returns the epochs done
    before."""
    before = read_checkpoint(last) if last.exists() else None
    done = int(before["epoch"]) + 1 if before is not None else 0
    if before is not None and (stopped_early(before) or done >= ready.job.schedule.epochs):
        for callback in trainer.callbacks:  # type: ignore[attr-defined]
            if isinstance(callback, History):
                callback.load_state_dict(before["callbacks"][callback.state_key])
        return done
    # Lightning sets the epoch too late for the first one: loader processes ask for samples as soon
    # as they start.
    sampler.set_epoch(done)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning|torch")
        try:
            trainer.fit(
                module,
                training_loader(ready, sampler),
                validation_loader(ready),
                ckpt_path=str(last) if before is not None else None,
                weights_only=True,
            )
        except SystemExit:  # what Lightning makes of Ctrl-C, with SIGINT ignored from then on
            signal.signal(signal.SIGINT, signal.default_int_handler)
            raise KeyboardInterrupt from None
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            raise TrainingError(
                f"out of memory ({_said(error)}); make schedule.batch or augmentation.crop "
                "smaller, and run the same command with --fresh"
            ) from None
    return done


def _said(error: Exception) -> str:
    return " ".join(str(error).split())[:160]


def _is_out_of_memory(error: Exception) -> bool:
    known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
    return known or "can't allocate memory" in _said(error)


def stopped_early(checkpoint: dict[str, Any]) -> bool:
    """Whether the run had ended by `schedule.patience`, which Lightning forgets when it goes on."""
    states = [
        v for k, v in checkpoint.get("callbacks", {}).items() if k.startswith("EarlyStopping")
    ]
    return any(s["wait_count"] >= s["patience"] for s in states)


def _kept(job: TrainingJob, out: Path, history: History) -> tuple[dict[str, Tensor], float, int]:
    """The network's weights that are kept, their mean IoU where it was measured, and the steps of
    the whole run."""
    scores = [r["val/miou"] for r in history.rows if "val/miou" in r]
    keep_last = job.schedule.keep == "last" or not (out / BEST).exists()
    # Where weights are averaged, a checkpoint's state_dict is the average.
    state = read_checkpoint(out / (LAST if keep_last else BEST))["state_dict"]
    miou = (scores[-1] if keep_last else max(scores)) if scores else float("nan")
    steps = int(history.rows[-1]["step"]) if history.rows else 0
    return (
        {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")},
        miou,
        steps,
    )
