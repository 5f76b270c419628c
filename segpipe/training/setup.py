"""What a training run needs, read and checked before the first step: data and network."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

import lightning.pytorch as pl
import torch
from torch import nn

from segpipe.core.errors import ConfigError, SourceError, TrainingError
from segpipe.core.taxonomy import Taxonomy
from segpipe.core.taxonomy_files import check_folder, load_taxonomy
from segpipe.training.data import LabelledSet, labelled_set
from segpipe.training.machine import device_of, precision_of
from segpipe.training.memory import check_memory
from segpipe.training.networks import build_network, start_from
from segpipe.training.on_cpu import depthwise_in_float32, keep_memory
from segpipe.training.settings import TrainingJob
from segpipe.training.sizes import check_batch, try_sizes


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that is ready to start."""

    job: TrainingJob
    taxonomy: Taxonomy
    train: LabelledSet
    val: LabelledSet
    network: nn.Module


def prepare(job: TrainingJob) -> Prepared:
    """Read and check data and network. Raises ConfigError, SourceError, ModelError or
    TrainingError; writes nothing."""
    taxonomy = _taxonomy(job)
    train = labelled_set(job.data.train, taxonomy, "data.train")
    val = labelled_set(job.data.val, taxonomy, "data.val")
    if shared := {p.image.resolve() for p in train.pairs} & {p.image.resolve() for p in val.pairs}:
        raise SourceError(
            f"{len(shared)} images are both in data.train and in data.val, such as "
            f"{min(shared)}: what was learnt can't be "
            "measured on them; part the sets"
        )
    check_batch(job, len(train))
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
    # The probe runs on the CPU; float16 is as large.
    autocast = None if precision == "32-true" else torch.bfloat16
    # A size it can't take is said by what comes next
    with contextlib.suppress(RuntimeError, ValueError, AssertionError):
        check_memory(network, job.schedule.batch, job.augmentation.crop, autocast, device)
    try_sizes(network, job, val)
    return Prepared(job, taxonomy, train, val, network)


def _taxonomy(job: TrainingJob) -> Taxonomy:
    """The classes to learn, checked against the data and the job."""
    stated = load_taxonomy(job.data.taxonomy)
    for place in job.data.places():
        check_folder(stated, place)
    taxonomy = stated.remapped(job.data.remap)
    if (count := len(taxonomy.classes)) < 2:
        what = f"data.remap leaves {count} class of" if job.data.remap else f"{count} class in"
        raise ConfigError(
            f"{what} the taxonomy {job.data.taxonomy}; training needs two or more: name the rest "
            "of the picture as a class "
            "too, such as background"
        )
    unknown = sorted(set(job.augmentation.paste_classes) - set(taxonomy.names))
    if unknown:
        raise TrainingError(
            f"augmentation.paste_classes: {', '.join(unknown)}; allowed are "
            f"{', '.join(taxonomy.names)}"
        )
    return taxonomy
