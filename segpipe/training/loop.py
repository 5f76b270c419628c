"""`train`: from a job to a model folder. Everything that can be wrong is found before the first step."""

from __future__ import annotations

import json
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
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from segpipe.errors import TrainingError
from segpipe.models.preprocess import Preprocessing
from segpipe.store.files import write_text
from segpipe.taxonomy import Taxonomy, load_taxonomy
from segpipe.training.augment import EpochSampler, TrainingSet
from segpipe.training.callbacks import History, moving_average
from segpipe.training.data import LabelledSet, labelled_set, read_pair
from segpipe.training.folder import save_model
from segpipe.training.losses import WeightedSum
from segpipe.training.memory import check_memory
from segpipe.training.module import SegmentationModule
from segpipe.training.networks import build_network, start_from
from segpipe.training.on_cpu import depthwise_in_float32, keep_memory
from segpipe.training.settings import TrainingJob

log = logging.getLogger(__name__)
Batch = tuple[Tensor, Tensor]


@dataclass(frozen=True, slots=True)
class TrainingReport:
    """What a run gave: `model` is the folder, `miou` (0 to 1) that of the weights kept, on the validation images."""

    model: Path
    epochs: int
    steps: int
    seconds: float
    miou: float
    resumed_from: int


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that is ready to start."""

    job: TrainingJob
    taxonomy: Taxonomy
    train: LabelledSet
    val: LabelledSet
    network: nn.Module


class ValidationSet(Dataset[Batch]):
    """Validation pictures as the model will see them: uint8 [3, h, w], with their classes at full size."""

    def __init__(self, labelled: LabelledSet, preprocessing: Preprocessing) -> None:
        self.labelled, self.preprocessing = labelled, preprocessing

    def __len__(self) -> int:
        return len(self.labelled)

    def __getitem__(self, index: int) -> Batch:
        rgb, classes = read_pair(self.labelled.pairs[index], self.labelled.taxonomy)
        pixels, _ = self.preprocessing.apply(rgb)
        return torch.from_numpy(pixels).permute(2, 0, 1), torch.from_numpy(classes).long()


def preprocessing_of(job: TrainingJob) -> Preprocessing:
    """The preprocessing that the trained model carries."""
    given = job.input
    return Preprocessing(
        shortest_edge=given.shortest_edge, multiple_of=given.multiple_of, interpolation=given.interpolation,
        mean=given.mean, std=given.std,
    )  # fmt: skip


def prepare(job: TrainingJob) -> Prepared:
    """Read and check data and network. Raises ConfigError, SourceError, ModelError or TrainingError; writes nothing."""
    taxonomy = load_taxonomy(job.data.taxonomy).remapped(job.data.remap)
    unknown = sorted(set(job.augmentation.paste_classes) - set(taxonomy.names))
    if unknown:
        raise TrainingError(f"augmentation.paste_classes: {', '.join(unknown)}; allowed are {', '.join(taxonomy.names)}")
    train = labelled_set(job.data.train, taxonomy, "data.train")
    val = labelled_set(job.data.val, taxonomy, "data.val")
    pl.seed_everything(job.seed, verbose=False)
    network = build_network(job.network, len(taxonomy.classes))
    if job.network.start:
        start_from(network, job.network.start, len(taxonomy.classes))
    precision, device = precision_of(job), device_of(job)
    if device.type == "cpu":
        keep_memory()
        if precision == "bf16-mixed":
            depthwise_in_float32(network)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    autocast = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}.get(precision)
    check_memory(network, job.schedule.batch, job.augmentation.crop, autocast if device.type == "cpu" else None, device)
    return Prepared(job, taxonomy, train, val, network)


def device_of(job: TrainingJob) -> torch.device:
    """Where the first step will run."""
    wanted = job.machine.accelerator
    if wanted == "gpu" and not torch.cuda.is_available():
        raise TrainingError("machine.accelerator: gpu, but no CUDA device is here; use auto or cpu")
    return torch.device("cuda" if wanted != "cpu" and torch.cuda.is_available() else "cpu")


def precision_of(job: TrainingJob) -> Any:
    """Lightning's name of the precision; `auto` is bfloat16 autocast on a GPU that has it, else float16, else float32."""
    if job.machine.precision != "auto":
        return job.machine.precision
    if device_of(job).type == "cpu":
        return "32-true"
    return "bf16-mixed" if torch.cuda.is_bf16_supported() else "16-mixed"


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
                _loader(ready, sampler),
                _validation(ready),
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
    state, miou = _kept(job, module, best, history)
    ready.network.load_state_dict(state)
    folder = save_model(ready.network, ready.taxonomy, preprocessing_of(job), out / "model")
    return TrainingReport(folder, len(history.rows), trainer.global_step, history.seconds, miou, resumed)


def _check_output(job: TrainingJob, out: Path, fresh: bool) -> None:
    saved = out / "job.json"
    if fresh or not saved.exists():
        return
    before = TrainingJob.model_validate(json.loads(saved.read_text(encoding="utf-8"))).model_dump()
    now = job.model_dump()
    free = {"output", "card", "machine"}  # these don't change what is learnt, but for rounding
    different = sorted(k for k in now if now[k] != before[k] and k not in free)
    if different:
        raise TrainingError(
            f"{out}: holds a run with other settings ({', '.join(different)} differ); go on with the old ones, choose another "
            "output, or throw the old run away with --fresh"
        )


def _forget(out: Path) -> None:
    import shutil

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


def _loader(ready: Prepared, sampler: EpochSampler) -> DataLoader[Batch]:
    job = ready.job
    loaders = job.machine.loaders if job.machine.loaders >= 0 else (4 if device_of(job).type == "cuda" else 0)
    samples = TrainingSet(ready.train, job.augmentation, job.input.mean, job.seed)
    if len(sampler) < job.schedule.batch:
        raise TrainingError(
            f"schedule.batch {job.schedule.batch} is more than the {len(sampler)} images of an epoch; make it smaller, or set "
            "schedule.images_per_epoch"
        )
    return DataLoader(
        samples, job.schedule.batch, sampler=sampler, drop_last=True, num_workers=loaders, persistent_workers=loaders > 0,
        pin_memory=device_of(job).type == "cuda",
    )  # fmt: skip


def _validation(ready: Prepared) -> DataLoader[Batch]:
    return DataLoader(ValidationSet(ready.val, preprocessing_of(ready.job)), 1)  # pictures may differ in size


def _epochs_in(checkpoint: Path) -> int:
    return int(torch.load(checkpoint, map_location="cpu", weights_only=True)["epoch"]) + 1


def _kept(job: TrainingJob, module: SegmentationModule, best: ModelCheckpoint, history: History) -> tuple[dict[str, Tensor], float]:
    """The network's weights that are kept, and their mean IoU where it was measured (the last validation's for `last`)."""
    scores = [r["val/miou"] for r in history.rows if "val/miou" in r]
    if job.schedule.keep == "last" or not best.best_model_path:
        return dict(module.network.state_dict()), scores[-1] if scores else float("nan")
    state = torch.load(best.best_model_path, map_location="cpu", weights_only=True)["state_dict"]
    return {k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")}, max(scores)
