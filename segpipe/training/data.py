"""Labelled images for training and evaluation: found by pattern, checked before anything starts,
read one by one."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from segpipe.core.errors import SourceError
from segpipe.core.taxonomy import Taxonomy
from segpipe.core.types import UInt8
from segpipe.sources.images.folder import read_image
from segpipe.sources.images.names import IMAGE_SUFFIXES
from segpipe.training.data_settings import Folder

NAMED_AT_MOST = 5


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


def read_pair(pair: Pair, taxonomy: Taxonomy) -> tuple[UInt8, UInt8]:
    """The picture uint8 [H, W, 3] and its classes uint8 [H, W], VOID where ignored. Raises
    SourceError, the file named."""
    try:
        rgb = read_image(pair.image)
    except SourceError as error:
        raise SourceError(f"{pair.image}: {error}; repair or remove it") from None
    classes = read_label(pair.label, taxonomy)
    if rgb.shape[:2] != classes.shape:
        raise SourceError(
            f"{pair.image} is {rgb.shape[1]}x{rgb.shape[0]}, but its label {pair.label} is "
            f"{classes.shape[1]}x{classes.shape[0]}; "
            "both must have the same size"
        )
    return rgb, classes


def read_label(path: Path, taxonomy: Taxonomy) -> UInt8:
    """Classes uint8 [H, W] of a label file, VOID where ignored. Raises SourceError."""
    flag = cv2.IMREAD_COLOR if taxonomy.encoding == "colour" else cv2.IMREAD_UNCHANGED
    found = cv2.imread(str(path), flag)
    if found is None:
        raise SourceError(
            f"{path}: the label can't be read; repair it, or remove it with its image"
        )
    if found.ndim == 3 and taxonomy.encoding == "index":
        found = _palette_or_grey(path, found)  # type: ignore[assignment]
    if found.dtype != np.uint8:
        if found.max(initial=0) > 255:
            raise SourceError(
                f"{path}: label values up to {int(found.max())}; segpipe's labels are bytes "
                "(0 to 255)"
            )
        found = found.astype(np.uint8)
    rgb = np.ascontiguousarray(found[..., ::-1]) if found.ndim == 3 else found
    return taxonomy.decode(np.asarray(rgb, np.uint8), str(path))


def _palette_or_grey(path: Path, found: NDArray[np.generic]) -> NDArray[np.generic]:
    """PNGs with a palette hold indices, which OpenCV turns into colours; Pillow gives them as they
    are."""
    from PIL import Image

    with Image.open(path) as picture:
        return np.asarray(picture) if picture.mode in {"P", "L"} else found


def labelled_set(folders: Sequence[Folder], taxonomy: Taxonomy, what: str) -> LabelledSet:
    """Find, read and check every pair once. Raises SourceError for the first thing that is wrong,
    the file named."""
    pairs = tuple(pair for folder in folders for pair in find_pairs(folder))

    def count(pair: Pair) -> NDArray[np.int64]:
        _, label = read_pair(pair, taxonomy)
        return np.bincount(label.ravel(), minlength=256)[: len(taxonomy.classes)].astype(np.int64)

    cv2.setNumThreads(0)
    with ThreadPoolExecutor() as pool:
        counts = np.stack(list(pool.map(count, pairs)))
    if not counts.any():
        raise SourceError(
            f"{what}: every pixel of its {len(pairs)} labels is ignored: nothing to learn or "
            "measure; see the taxonomy"
        )
    return LabelledSet(pairs, taxonomy, counts)
