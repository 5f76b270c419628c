"""What a training run reads its batches with."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from segpipe.inference.models.preprocess import Preprocessing
from segpipe.training.augment import TrainingSet
from segpipe.training.data import LabelledSet, read_pair
from segpipe.training.epoch_sampler import EpochSampler
from segpipe.training.folder import preprocessing_of
from segpipe.training.machine import device_of
from segpipe.training.setup import Prepared

Batch = tuple[Tensor, Tensor]


class ValidationSet(Dataset[Batch]):
    """Validation pictures as the model will see them: uint8 [3, h, w], with their classes at full
    size."""

    def __init__(self, labelled: LabelledSet, preprocessing: Preprocessing) -> None:
        self.labelled, self.preprocessing = labelled, preprocessing

    def __len__(self) -> int:
        return len(self.labelled)

    def __getitem__(self, index: int) -> Batch:
        rgb, classes = read_pair(self.labelled.pairs[index], self.labelled.taxonomy)
        pixels, _ = self.preprocessing.apply(rgb)
        return torch.from_numpy(pixels).permute(2, 0, 1), torch.from_numpy(classes).long()


def training_loader(ready: Prepared, sampler: EpochSampler) -> DataLoader[Batch]:
    """Loads batches of augmented pictures, the same for the same seed."""
    job = ready.job
    loaders = (
        job.machine.loaders
        if job.machine.loaders >= 0
        else (4 if device_of(job).type == "cuda" else 0)
    )
    samples = TrainingSet(ready.train, job.augmentation, job.input.mean, job.seed)
    return DataLoader(
        samples,
        job.schedule.batch,
        sampler=sampler,
        drop_last=True,
        num_workers=loaders,
        persistent_workers=loaders > 0,
        pin_memory=device_of(job).type == "cuda",
    )


def validation_loader(ready: Prepared) -> DataLoader[Batch]:
    """Loads the validation pictures one by one."""
    # Pictures may differ in size
    return DataLoader(ValidationSet(ready.val, preprocessing_of(ready.job)), 1)
