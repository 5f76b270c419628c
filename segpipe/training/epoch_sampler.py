"""Which images an epoch of training shows, and how likely the rare classes are among them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from segpipe.training.data import LabelledSet


def seed_of(*parts: object) -> int:
    """A seed out of numbers and names: the same parts give the same seed in every process."""
    return int.from_bytes(hashlib.sha256(repr(parts).encode()).digest()[:6], "little")


class EpochSampler(Sampler[tuple[int, int, int]]):
    """Which images an epoch shows, in which order: a function of seed and epoch alone.

    `balance` 0 shows each image once in each round; above it, images are drawn with chances that
    grow with the rare classes they hold (the square root of the rarity of their rarest class, to
    the power of `balance`). Where several processes train together, each gets its own part of the
    epoch.
    """

    def __init__(self, labelled: LabelledSet, length: int, balance: float, seed: int) -> None:
        self.length, self.seed, self.epoch = length or len(labelled), seed, 0
        self._count = len(labelled)
        self._chances = image_chances(labelled, balance) if balance else None

    def set_epoch(self, epoch: int) -> None:
        """Lightning calls this before each epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.length // _processes()[1]

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        rng = np.random.default_rng(seed_of(self.seed, self.epoch, "order"))
        if self._chances is not None:
            order = rng.choice(self._count, self.length, p=self._chances)
        else:
            rounds = -(-self.length // self._count)
            order = np.concatenate([rng.permutation(self._count) for _ in range(rounds)])[
                : self.length
            ]
        rank, processes = _processes()
        for place in range(rank, len(self) * processes, processes):
            yield self.epoch, place, int(order[place])


def _processes() -> tuple[int, int]:
    """This process's rank, and how many train together."""
    from torch import distributed

    return (
        (distributed.get_rank(), distributed.get_world_size())
        if distributed.is_initialized()
        else (0, 1)
    )


def image_chances(labelled: LabelledSet, balance: float) -> np.ndarray:
    """How likely each image is drawn, float [N], sum 1."""
    present = labelled.counts > 0.0005 * labelled.counts.sum(1, keepdims=True)
    rarity = 1.0 / np.sqrt(np.maximum(present.mean(0), 1.0 / len(labelled)))
    chances = np.where(present, rarity[None], 1.0).max(1) ** (2.0 * balance)
    return np.asarray(chances / chances.sum())
