"""Augmentation with torchvision's transforms (v2), the same for the same seed, epoch and place in
the epoch."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from segpipe.core.types import VOID
from segpipe.training.data import LabelledSet, read_pair
from segpipe.training.data_settings import Augmentation
from segpipe.training.epoch_sampler import seed_of

Sample = tuple[Tensor, Tensor]
"""A picture uint8 [3, h, w] and its classes int64 [h, w]."""


class Augmenter:
    """Random scale, crop with ignored padding, flip, colour, blur and noise. Uses torch's global
    generator."""

    def __init__(self, settings: Augmentation, mean: tuple[float, float, float]) -> None:
        self.settings = settings
        height, width = settings.crop
        fill = {tv_tensors.Image: [int(m) for m in mean], tv_tensors.Mask: VOID}
        self._place = v2.Compose(
            [
                v2.RandomCrop((height, width), pad_if_needed=True, fill=fill),
                v2.RandomHorizontalFlip(settings.flip),
            ]
        )
        self._colour = v2.Compose(
            [
                v2.ColorJitter(
                    settings.brightness, settings.contrast, settings.saturation, settings.hue
                ),
                v2.RandomGrayscale(settings.grey),
                v2.RandomApply([v2.GaussianBlur(5, (0.3, 1.2))], settings.blur),
                v2.RandomApply([Noise(8.0)], settings.noise),
            ]
        )

    def __call__(self, rgb: np.ndarray, classes: np.ndarray) -> Sample:
        image = tv_tensors.Image(torch.from_numpy(np.ascontiguousarray(rgb)).permute(2, 0, 1))
        mask = tv_tensors.Mask(torch.from_numpy(classes))
        image, mask = self._place(*self._scaled(image, mask))
        return self._colour(image).as_subclass(Tensor).contiguous(), mask.as_subclass(Tensor).long()

    def _scaled(
        self, image: tv_tensors.Image, mask: tv_tensors.Mask
    ) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
        low, high = (float(np.log(s)) for s in self.settings.scale)
        # Uniform in the logarithm: halving is as likely as doubling, which torchvision's
        # ScaleJitter doesn't offer.
        scale = float(torch.empty(()).uniform_(low, high).exp())
        stretch = float(torch.empty(()).uniform_(0.92, 1.08))
        size = [
            max(1, round(image.shape[-2] * scale / stretch)),
            max(1, round(image.shape[-1] * scale * stretch)),
        ]
        resize = v2.Resize(size, antialias=True)
        return resize(image, mask)  # type: ignore[no-any-return]


class Noise(v2.Transform):  # type: ignore[misc]
    """The sensor's noise: Gaussian, up to `strongest` grey levels. torchvision's own takes float
    pictures only."""

    def __init__(self, strongest: float) -> None:
        super().__init__()
        self.strongest = strongest

    def transform(self, inpt: Tensor, params: dict[str, object]) -> Tensor:
        sigma = float(torch.rand(())) * self.strongest
        return (inpt.float() + torch.randn(inpt.shape) * sigma).clamp_(0, 255).to(torch.uint8)


def paste_rare(onto: Sample, source: Sample, classes: tuple[int, ...]) -> Sample:
    """Put the pixels of some classes of one sample over another (ClassMix: Olsson and others, 2021,
    with true labels)."""
    image, label = onto
    from_image, from_label = source
    taken = torch.isin(from_label, torch.tensor(classes))
    return torch.where(taken, from_image, image), torch.where(taken, from_label, label)


class TrainingSet(Dataset[Sample]):
    """Augmented samples; an index is (epoch, place in the epoch, image), so that a resumed run sees
    the same."""

    def __init__(
        self,
        labelled: LabelledSet,
        settings: Augmentation,
        mean: tuple[float, float, float],
        seed: int,
    ) -> None:
        self.labelled, self.settings, self.seed = labelled, settings, seed
        self._augment = Augmenter(settings, mean)
        names = labelled.taxonomy.names
        self._pasted = tuple(names.index(n) for n in settings.paste_classes)
        self._holders = (
            np.flatnonzero(labelled.counts[:, list(self._pasted)].sum(1))
            if self._pasted
            else np.empty(0, np.int64)
        )

    def __getitem__(self, index: tuple[int, int, int]) -> Sample:
        epoch, place, image = index
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(self.seed, epoch, place))
            sample = self._read(image)
            if len(self._holders) and float(torch.rand(())) < self.settings.paste:
                other = int(self._holders[int(torch.randint(len(self._holders), ()))])
                sample = paste_rare(sample, self._read(other), self._pasted)
        return sample

    def _read(self, image: int) -> Sample:
        return self._augment(*read_pair(self.labelled.pairs[image], self.labelled.taxonomy))
