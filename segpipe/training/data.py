"""Labelled images for training and evaluation: found by pattern, checked before anything starts,
read one by one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from segpipe.core.errors import SourceError
from segpipe.core.taxonomy import Taxonomy
from segpipe.core.types import UInt8
from segpipe.sources.images.names import IMAGE_SUFFIXES
from segpipe.training.data_settings import Folder
from segpipe.training.label_files import decoded_pairs, in_child

NAMED_AT_MOST = 5
_MOST_READERS = 8
LabelledArrays = tuple[UInt8, UInt8]
"""A picture uint8 [H, W, 3] and its classes uint8 [H, W]."""


@dataclass(frozen=True, slots=True)
class Pair:
    """An image and its label file."""

    image: Path
    label: Path


@dataclass(frozen=True, slots=True)
class LabelledSet:
    """Pairs, and how many pixels of each class each of them holds: int64 [N, C]."""

    pairs: tuple[Pair, ...]
    taxonomy: Taxonomy
    counts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.pairs)

    @property
    def shares(self) -> NDArray[np.float64]:
        """Share of all labelled pixels that each class has, float [C]."""
        total = self.counts.sum(0)
        return np.asarray(total / max(1, total.sum()), np.float64)


def find_pairs(folder: Folder) -> list[Pair]:
    """The images of a folder with their labels, by name. Raises SourceError where there are none,
    or some lack labels."""
    root = folder.place()
    glob = folder.pattern("images").replace("{split}", folder.split)
    try:
        found = list(root.glob(glob))
    except (NotImplementedError, ValueError):
        raise SourceError(
            f"images: {glob!r} is no pattern below {root}, such as images/*.jpg"
        ) from None
    images = sorted(p for p in found if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    if not images:
        raise SourceError(
            f"{root}: no images match {glob}; set images: to a pattern below the root, or choose "
            "another layout"
        )
    pairs = [Pair(image, _label_of(root, image, folder)) for image in images]
    missing = [p for p in pairs if not p.label.is_file()]
    if missing:
        named = ", ".join(f"{p.image.name} (wants {p.label})" for p in missing[:NAMED_AT_MOST])
        raise SourceError(
            f"{root}: {len(missing)} of {len(pairs)} images have no label: {named}; add the "
            "labels, take the images away, "
            "or set labels: to the right pattern"
        )
    return pairs


def _label_of(root: Path, image: Path, folder: Folder) -> Path:
    fields = {
        "stem": image.stem.removesuffix(folder.pattern("strip")),
        "name": image.name,
        "parent": image.parent.name,
        "split": folder.split,
    }
    try:
        return root / folder.pattern("labels").format(**fields)
    except (KeyError, IndexError, ValueError, AttributeError):
        raise SourceError(
            f"labels: {folder.pattern('labels')!r}; allowed in braces are {', '.join(fields)}"
        ) from None


def read_pair(pair: Pair, taxonomy: Taxonomy) -> LabelledArrays:
    """The picture uint8 [H, W, 3] and its classes uint8 [H, W], VOID where ignored, decoded in a
    child process. Raises SourceError, the file named."""
    (found,) = read_pairs((pair,), taxonomy)
    return found


def read_pairs(pairs: Sequence[Pair], taxonomy: Taxonomy) -> Iterator[LabelledArrays]:
    """The same of each pair, in order, by one child process."""
    files = [(str(p.image), str(p.label)) for p in pairs]
    pictures = in_child(decoded_pairs, files, taxonomy.encoding)
    for pair, (rgb, label) in zip(pairs, pictures, strict=True):
        yield rgb, _classes(pair, rgb, label, taxonomy)


def _classes(pair: Pair, rgb: UInt8, label: UInt8, taxonomy: Taxonomy) -> UInt8:
    classes = taxonomy.decode(label, str(pair.label))
    if rgb.shape[:2] != classes.shape:
        raise SourceError(
            f"{pair.image} is {rgb.shape[1]}x{rgb.shape[0]}, but its label {pair.label} is "
            f"{classes.shape[1]}x{classes.shape[0]}; "
            "both must have the same size"
        )
    return classes


def labelled_set(folders: Sequence[Folder], taxonomy: Taxonomy, what: str) -> LabelledSet:
    """Find, read and check every pair once. Raises SourceError for the first thing that is wrong,
    the file named."""
    pairs = tuple(pair for folder in folders for pair in find_pairs(folder))

    cv2.setNumThreads(0)
    counts = _counts(pairs, taxonomy)
    if not counts.any():
        raise SourceError(
            f"{what}: every pixel of its {len(pairs)} labels is ignored: nothing to learn or "
            "measure; see the taxonomy"
        )
    return LabelledSet(pairs, taxonomy, counts)


def _counts(pairs: Sequence[Pair], taxonomy: Taxonomy) -> NDArray[np.int64]:
    """How many pixels of each class each pair holds, int64 [N, C]: all files are read once, by a
    child process for each core."""

    def count(part: Sequence[Pair]) -> list[NDArray[np.int64]]:
        return [
            np.bincount(classes.ravel(), minlength=256)[: len(taxonomy.classes)].astype(np.int64)
            for _, classes in read_pairs(part, taxonomy)
        ]

    readers = min(_MOST_READERS, os.cpu_count() or 1)
    step = -(-len(pairs) // readers)
    parts = [pairs[i : i + step] for i in range(0, len(pairs), step)]
    with ThreadPoolExecutor(readers) as pool:
        return np.stack([counts for part in pool.map(count, parts) for counts in part])
