"""What a training run needs, read and checked before the first step: data, network, loaders."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any

import lightning.pytorch as pl
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from segpipe.errors import ConfigError, SourceError, TrainingError
from segpipe.models.preprocess import Preprocessing
from segpipe.taxonomy import Taxonomy
from segpipe.taxonomy_files import load_taxonomy
from segpipe.training.augment import EpochSampler, TrainingSet
from segpipe.training.data import LabelledSet, labelled_set, read_pair
from segpipe.training.memory import check_memory
from segpipe.training.networks import build_network, start_from
from segpipe.training.on_cpu import depthwise_in_float32, keep_memory
from segpipe.training.settings import TrainingJob

Batch = tuple[Tensor, Tensor]


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
    if len(taxonomy.classes) < 2:
        raise ConfigError(f"data.remap leaves {len(taxonomy.classes)} class of {job.data.taxonomy}; a network needs two or more")
    unknown = sorted(set(job.augmentation.paste_classes) - set(taxonomy.names))
    if unknown:
        raise TrainingError(f"augmentation.paste_classes: {', '.join(unknown)}; allowed are {', '.join(taxonomy.names)}")
    train = labelled_set(job.data.train, taxonomy, "data.train")
    val = labelled_set(job.data.val, taxonomy, "data.val")
    if shared := {p.image.resolve() for p in train.pairs} & {p.image.resolve() for p in val.pairs}:
        raise SourceError(
            f"{len(shared)} images are both in data.train and in data.val, such as {min(shared)}: what was learnt can't be "
            "measured on them; part the sets"
        )
    _check_batch(job, len(train))
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
    autocast = None if precision == "32-true" else torch.bfloat16  # the probe runs on the CPU; float16 is as large
    with contextlib.suppress(RuntimeError, ValueError, AssertionError):  # a size it can't take is said by what comes next
        check_memory(network, job.schedule.batch, job.augmentation.crop, autocast, device)
    _try_sizes(network, job, val)
    return Prepared(job, taxonomy, train, val, network)


def _check_batch(job: TrainingJob, images: int) -> None:
    length, plan = job.schedule.images_per_epoch or images, job.schedule
    devices = job.machine.devices if isinstance(job.machine.devices, int) else max(1, torch.cuda.device_count())
    if length // max(1, devices) < plan.batch:
        each = f" of {length // devices} for each of {devices} devices" if devices > 1 else ""
        raise TrainingError(
            f"schedule.batch {plan.batch} is more than the {length} images of an epoch{each}; make it smaller, or set "
            "schedule.images_per_epoch"
        )


def _try_sizes(network: nn.Module, job: TrainingJob, val: LabelledSet) -> None:
    """Send one blank picture of each size through the network: what it can't take is said before training."""
    training = job.schedule.batch, *job.augmentation.crop
    with Image.open(val.pairs[0].image) as picture:
        used = preprocessing_of(job).resized(picture.height, picture.width)
    for name, (count, height, width), mode in (("augmentation.crop", training, True), ("input", (1, *used), False)):
        before = {k: v.clone() for k, v in network.state_dict().items()}
        try:
            with torch.no_grad():
                network.train(mode)(torch.zeros(min(2, count), 3, height, width))
        except Exception as error:  # noqa: BLE001 - each architecture raises its own kinds
            line = " ".join(str(error).split())[:240]
            raise ConfigError(
                f"{name}: {job.network.architecture} doesn't take {min(2, count)} pictures of {height}x{width} at once "
                f"({line}); most want multiples of 32, and some a batch of 2 or more"
            ) from None
        network.load_state_dict(before)  # batch normalisation counted the blank picture


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


def training_loader(ready: Prepared, sampler: EpochSampler) -> DataLoader[Batch]:
    job = ready.job
    loaders = job.machine.loaders if job.machine.loaders >= 0 else (4 if device_of(job).type == "cuda" else 0)
    samples = TrainingSet(ready.train, job.augmentation, job.input.mean, job.seed)
    return DataLoader(
        samples, job.schedule.batch, sampler=sampler, drop_last=True, num_workers=loaders, persistent_workers=loaders > 0,
        pin_memory=device_of(job).type == "cuda",
    )  # fmt: skip


def validation_loader(ready: Prepared) -> DataLoader[Batch]:
    return DataLoader(ValidationSet(ready.val, preprocessing_of(ready.job)), 1)  # pictures may differ in size
