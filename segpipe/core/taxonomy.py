"""What labels mean: the classes of a data set, how its label files say them, and the names that
data sets share.

A taxonomy is a YAML file: `segpipe/core/taxonomies/NAME.yaml` (seen as `configs/taxonomies/` in the
repository), or one of yours. Each class has a name, the value or colour that stands for it in label
files, a colour for pictures, and the common name that lets statistics of models with different
classes be compared.
"""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from segpipe.core.errors import ConfigError, SourceError
from segpipe.core.types import VOID, UInt8

COMMON = (
    "sky",
    "building",
    "fence",
    "pole",
    "road",
    "sidewalk",
    "vegetation",
    "terrain",
    "sign",
    "vehicle",
    "person",
    "cyclist",
    "other",
)
"""The common names. `building` holds walls and bridges, `sign` traffic lights, `vehicle` also
two-wheelers, standing or ridden; `cyclist` holds riders, with their two-wheeler where a data set
doesn't part them (CamVid's bicyclist)."""
Colour = tuple[int, int, int]


BOTH_KEYS = "has common_class and common, which is the old name of the same; leave out common"
"""Of a class in a taxonomy or a model's `segpipe.json`. The old key is read until version 0.3."""


def nearest_common(name: str) -> str:
    """For a message about a common name that doesn't exist: which ones are spelt alike, or
    nothing."""
    near = difflib.get_close_matches(name.strip().lower(), COMMON, 3, 0.5)
    return f" (nearest: {', '.join(near)})" if near else ""


@dataclass(frozen=True, slots=True)
class TaxonomyClass:
    """One class: its name, the values that stand for it in index label files, its colour, its
    common name."""

    name: str
    values: tuple[int, ...]
    colour: Colour
    common_class: str


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """The classes of a data set; a class's id is its place here. `ignore` lists label values (or
    colours) without class."""

    name: str
    encoding: Literal["index", "colour"]
    classes: tuple[TaxonomyClass, ...]
    ignore: tuple[int, ...] | tuple[Colour, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.classes)

    def remapped(self, remap: dict[str, str]) -> Taxonomy:
        """A taxonomy with classes put together or ignored: `{"pole": "ignore", "bus": "car"}`.
        Raises ConfigError."""
        wrong = [n for pair in remap.items() for n in pair if n not in {*self.names, "ignore"}]
        if wrong or "ignore" in remap:
            raise ConfigError(
                f"remap: {', '.join(wrong) or 'ignore'}; allowed are {', '.join(self.names)}, "
                "and 'ignore' as a target"
            )
        ends = {c.name: remap.get(c.name, c.name) for c in self.classes}
        if chained := sorted({t for t in remap.values() if t in remap}):
            raise ConfigError(
                f"remap: {', '.join(chained)} is itself mapped away; name the last class at once"
            )
        kept = [c for c in self.classes if ends[c.name] == c.name]
        codes = {
            c.name: [
                d.colour if self.encoding == "colour" else d.values
                for d in self.classes
                if ends[d.name] == c.name
            ]
            for c in kept
        }
        gone = [d for d in self.classes if ends[d.name] == "ignore"]
        if self.encoding == "colour":
            if any(len(v) > 1 for v in codes.values()):
                raise ConfigError(
                    "remap: classes of colour labels can be ignored, not put together; write a "
                    "taxonomy of your own"
                )
            return Taxonomy(
                self.name, self.encoding, tuple(kept), (*self.ignore, *(d.colour for d in gone))
            )  # type: ignore[arg-type]
        merged = tuple(
            TaxonomyClass(c.name, sum(codes[c.name], ()), c.colour, c.common_class) for c in kept
        )  # type: ignore[arg-type]
        return Taxonomy(
            self.name, self.encoding, merged, (*self.ignore, *sum((d.values for d in gone), ()))
        )  # type: ignore[arg-type]

    def decode(self, label: UInt8, origin: str = "label") -> UInt8:
        """Class ids uint8 [H, W] (VOID where ignored) from a label picture: [H, W] values or [H, W,
        3] colours.

        Raises SourceError for values that are no class and not ignored.
        """
        if self.encoding == "index":
            if label.ndim != 2:
                raise SourceError(
                    f"{origin}: a colour picture of shape {label.shape}, but {self.name} wants "
                    "one value for each pixel"
                )
            found = _value_table(self)[label]
        else:
            if label.ndim != 3:
                raise SourceError(
                    f"{origin}: one value for each pixel, but {self.name} wants colours"
                )
            found = _lookup_colours(self, label)
        if (found == -1).any():
            bad = np.unique(label[found == -1].reshape(-1, *label.shape[2:]), axis=0)[:6].tolist()
            raise SourceError(
                f"{origin}: the label values {bad} are neither a class of {self.name} nor "
                "ignored by it; correct the labels, or "
                "list them under 'ignore' or as a class in a taxonomy file of your own"
            )
        return found.astype(np.uint8)


@lru_cache(maxsize=16)
def _value_table(taxonomy: Taxonomy) -> NDArray[np.int16]:
    table = np.full(256, -1, np.int16)
    for value in taxonomy.ignore:
        table[value] = VOID
    for i, c in enumerate(taxonomy.classes):
        table[list(c.values)] = i
    return table


def _lookup_colours(taxonomy: Taxonomy, label: UInt8) -> NDArray[np.int16]:
    packed = label.astype(np.int32) @ np.array([65536, 256, 1], np.int32)
    found = np.full(packed.shape, -1, np.int16)
    for colour in taxonomy.ignore:
        found[packed == _pack(colour)] = VOID  # type: ignore[arg-type]
    for i, c in enumerate(taxonomy.classes):
        found[packed == _pack(c.colour)] = i
    return found


def _pack(colour: Colour) -> int:
    return colour[0] * 65536 + colour[1] * 256 + colour[2]
