"""Whether a network takes the sizes of a job's pictures, and an epoch fills a batch: known before
training."""

from __future__ import annotations

import torch
from torch import nn

from segpipe.core.errors import ConfigError, TrainingError
from segpipe.runtime.pictures import open_image
from segpipe.training.data import LabelledSet
from segpipe.training.folder import preprocessing_of
from segpipe.training.settings import TrainingJob


def check_batch(job: TrainingJob, images: int) -> None:
    """Raises TrainingError where an epoch of so many images has less than a batch."""
    length, plan = job.schedule.images_per_epoch or images, job.schedule
    devices = (
        job.machine.devices
        if isinstance(job.machine.devices, int)
        else max(1, torch.cuda.device_count())
    )
    if length // max(1, devices) < plan.batch:
        each = f" of {length // devices} for each of {devices} devices" if devices > 1 else ""
        raise TrainingError(
            f"schedule.batch {plan.batch} is more than the {length} images of an epoch{each}; "
            "make it smaller, or set "
            "schedule.images_per_epoch"
        )


def try_sizes(network: nn.Module, job: TrainingJob, val: LabelledSet) -> None:
    """Send one blank picture of each size through the network: what it can't take is said before
    training. Raises ConfigError."""
    training = job.schedule.batch, *job.augmentation.crop
    with open_image(val.pairs[0].image) as picture:
        used = preprocessing_of(job).resized(picture.height, picture.width)
    for name, (count, height, width), mode in (
        ("augmentation.crop", training, True),
        ("input", (1, *used), False),
    ):
        before = {k: v.clone() for k, v in network.state_dict().items()}
        try:
            with torch.no_grad():
                network.train(mode)(torch.zeros(min(2, count), 3, height, width))
        except Exception as error:  # noqa: BLE001 - each architecture raises its own kinds
            line = " ".join(str(error).split())[:240]
            raise ConfigError(
                f"{name}: {job.network.architecture} doesn't take {min(2, count)} pictures of "
                f"{height}x{width} at once "
                f"({line}); most want multiples of 32, and some a batch of 2 or more"
            ) from None
        network.load_state_dict(before)  # batch normalisation counted the blank picture
