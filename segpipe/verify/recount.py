"""A frame's statistics counted again from its mask, simply and by other means than the pipeline's
own: with OpenCV."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from segpipe.core.types import VOID, UInt8
from segpipe.inference.measures.regions import Regions

Mask = NDArray[np.bool_]
_WHOLE = (
    "pixel_count",
    "valid_pixels",
    "x_min",
    "y_min",
    "x_max",
    "y_max",
    "components",
    "largest_x_min",
    "largest_y_min",
    "largest_x_max",
    "largest_y_max",
)
_BROKEN = ("centroid_x", "centroid_y", "largest_component_fraction")
STATISTICS = (*_WHOLE, *_BROKEN)
_CLOSE = 1e-6


@dataclass(frozen=True)
class Part:
    """A region of frames of one size: `mask` uint8 [h, w] of its pixels that count, cropped to its
    box, and where it begins."""

    name: str
    mask: UInt8
    y: int
    x: int


class Recount:
    """Counts frames of one source again."""

    def __init__(self, regions: Regions, classes: tuple[str, ...]) -> None:
        self.regions, self.classes = regions, classes
        self.parts = functools.lru_cache(maxsize=4)(self._parts)

    def wrong(self, labels: UInt8, valid_pixels: int, rows: list[dict[str, Any]]) -> list[str]:
        """What is wrong with the rows of `class_stats` of a frame whose labels uint8 [H, W] these
        are, a line each."""
        height, width = labels.shape
        counted = self.count(labels)
        found = []
        if (labels[self.regions.ignored(height, width)] != VOID).any():
            found.append("pixels that don't count have a class")
        strange = np.setdiff1d(np.unique(labels), [*range(len(self.classes)), VOID])
        if len(strange):
            found.append(
                f"the mask has the label {strange[0]}, and the classes end with "
                f"{len(self.classes) - 1}"
            )
        valid = sum(
            c["pixel_count"]
            for (region, _), c in counted.items()
            if region == self.regions.names[0]
        )
        if valid != valid_pixels:
            found.append(f"valid_pixels: {valid_pixels} there, {valid} counted")
        there = {(r["region"], r["class_id"]): r for r in rows}
        for key in sorted(there.keys() ^ counted.keys()):
            found.append(
                f"{self._named(key)}: "
                f"{'no row, but pixels' if key in counted else 'a row, but no pixels'}"
            )
        for key in sorted(there.keys() & counted.keys()):
            found += [
                f"{self._named(key)}: {text}" for text in _differences(there[key], counted[key])
            ]
        return found

    def _named(self, key: tuple[str, int]) -> str:
        return f"{self.classes[key[1]] if 0 <= key[1] < len(self.classes) else key[1]} in {key[0]}"

    def count(self, labels: UInt8) -> dict[tuple[str, int], dict[str, float]]:
        """The statistics of each region and class that has pixels."""
        found = {}
        for part in self.parts(*labels.shape):
            height, width = part.mask.shape
            here = np.where(
                part.mask, labels[part.y : part.y + height, part.x : part.x + width], VOID
            )
            sizes = np.bincount(here.reshape(-1), minlength=256)
            valid = int(sizes[: len(self.classes)].sum())
            for kind in np.flatnonzero(sizes[: len(self.classes)]):
                found[part.name, int(kind)] = {
                    "valid_pixels": valid,
                    **_shape(here == kind, part.y, part.x),
                }
        return found

    def _parts(self, height: int, width: int) -> list[Part]:
        atoms = self.regions.for_size(height, width)
        parts = []
        for name, member in zip(atoms.names, atoms.membership, strict=True):
            mask = member[atoms.atoms] & (atoms.atoms > 0)
            ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
            if len(ys):
                cropped = mask[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1]
                parts.append(
                    Part(
                        name, np.ascontiguousarray(cropped).astype(np.uint8), int(ys[0]), int(xs[0])
                    )
                )
        return parts


def _shape(mask: Mask, y: int, x: int) -> dict[str, float]:
    """Count, box, centroid, components and the largest one's box of a mask bool [h, w] that begins
    at (y, x)."""
    left, top, width, height = cv2.boundingRect(mask.view(np.uint8))
    box = np.ascontiguousarray(mask[top : top + height, left : left + width]).view(np.uint8)
    x, y = x + left, y + top
    number, parts, stats, centroids = cv2.connectedComponentsWithStats(
        box, connectivity=8, ltype=cv2.CV_32S
    )
    area = stats[1:, cv2.CC_STAT_AREA].astype(np.int64)
    centre = (centroids[1:] * area[:, None]).sum(axis=0) / area.sum()
    big_left, big_top, big_width, big_height, _ = (int(n) for n in stats[_largest(parts, area)])
    return {
        "pixel_count": int(area.sum()),
        "x_min": x,
        "y_min": y,
        "x_max": x + width - 1,
        "y_max": y + height - 1,
        "components": number - 1,
        "centroid_x": float(centre[0]) + x,
        "centroid_y": float(centre[1]) + y,
        "largest_component_fraction": float(area.max() / area.sum()),
        "largest_x_min": x + big_left,
        "largest_y_min": y + big_top,
        "largest_x_max": x + big_left + big_width - 1,
        "largest_y_max": y + big_top + big_height - 1,
    }


def _largest(parts: NDArray[Any], area: NDArray[np.int64]) -> int:
    """The label of the largest component in `parts` int32 [h, w] by the `area` int64 [N] of labels
    1 to N; of equals, of the one whose first pixel comes first, row by row."""
    equals = np.flatnonzero(area == area.max()) + 1
    if len(equals) == 1:
        return int(equals[0])
    return int(parts.reshape(-1)[np.isin(parts, equals).argmax()])


def _differences(row: dict[str, Any], counted: dict[str, float]) -> list[str]:
    other = [n for n in _WHOLE if row[n] != counted[n]]
    other += [
        n for n in _BROKEN if not abs(row[n] - counted[n]) <= _CLOSE * max(1.0, abs(counted[n]))
    ]
    return [f"{n} {row[n]:.10g} there, {counted[n]:.10g} counted" for n in other]
