"""What labels mean: the classes of a data set, how its label files say them, and the names that data sets share.

A taxonomy is a YAML file: `segpipe/taxonomies/NAME.yaml` (seen as `configs/taxonomies/` in the repository), or one of
yours. Each class has a name, the value or colour that stands for it in label files, a colour for pictures, and the
common name that lets statistics of models with different classes be compared.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from segpipe.config import read_yaml
from segpipe.errors import ConfigError, SourceError
from segpipe.frames import VOID, UInt8

BUILTIN = Path(__file__).parent / "taxonomies"
COMMON = (
    "sky", "building", "fence", "pole", "road", "sidewalk", "vegetation", "terrain", "sign", "vehicle", "person", "cyclist",
    "other",
)  # fmt: skip
"""The common names. `building` holds walls and bridges, `sign` traffic lights, `cyclist` two-wheelers and their riders."""
Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class TaxonomyClass:
    """One class: its name, the values that stand for it in index label files, its colour, its common name."""

    name: str
    values: tuple[int, ...]
    colour: Colour
    common: str


@dataclass(frozen=True, slots=True)
class Taxonomy:
    """The classes of a data set; a class's id is its place here. `ignore` lists label values (or colours) without class."""

    name: str
    encoding: Literal["index", "colour"]
    classes: tuple[TaxonomyClass, ...]
    ignore: tuple[int, ...] | tuple[Colour, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(c.name for c in self.classes)

    def remapped(self, remap: dict[str, str]) -> Taxonomy:
        """A taxonomy with classes put together or ignored: `{"pole": "ignore", "bus": "car"}`. Raises ConfigError."""
        wrong = [n for pair in remap.items() for n in pair if n not in {*self.names, "ignore"}]
        if wrong or "ignore" in remap:
            raise ConfigError(
                f"remap: {', '.join(wrong) or 'ignore'}; allowed are {', '.join(self.names)}, and 'ignore' as a target"
            )
        ends = {c.name: remap.get(c.name, c.name) for c in self.classes}
        if chained := sorted({t for t in remap.values() if t in remap}):
            raise ConfigError(f"remap: {', '.join(chained)} is itself mapped away; name the last class at once")
        kept = [c for c in self.classes if ends[c.name] == c.name]
        codes = {
            c.name: [d.colour if self.encoding == "colour" else d.values for d in self.classes if ends[d.name] == c.name]
            for c in kept
        }
        gone = [d for d in self.classes if ends[d.name] == "ignore"]
        if self.encoding == "colour":
            if any(len(v) > 1 for v in codes.values()):
                raise ConfigError("remap: classes of colour labels can be ignored, not put together; write a taxonomy of your own")
            return Taxonomy(self.name, self.encoding, tuple(kept), (*self.ignore, *(d.colour for d in gone)))  # type: ignore[arg-type]
        merged = tuple(TaxonomyClass(c.name, sum(codes[c.name], ()), c.colour, c.common) for c in kept)  # type: ignore[arg-type]
        return Taxonomy(self.name, self.encoding, merged, (*self.ignore, *sum((d.values for d in gone), ())))  # type: ignore[arg-type]

    def decode(self, label: UInt8, origin: str = "label") -> UInt8:
        """Class ids uint8 [H, W] (VOID where ignored) from a label picture: [H, W] values or [H, W, 3] colours.

        Raises SourceError for values that are no class and not ignored.
        """
        if self.encoding == "index":
            if label.ndim != 2:
                raise SourceError(
                    f"{origin}: a colour picture of shape {label.shape}, but {self.name} wants one value for each pixel"
                )
            found = _value_table(self)[label]
        else:
            if label.ndim != 3:
                raise SourceError(f"{origin}: one value for each pixel, but {self.name} wants colours")
            found = _lookup_colours(self, label)
        if (found == -1).any():
            bad = np.unique(label[found == -1].reshape(-1, *label.shape[2:]), axis=0)[:6].tolist()
            raise SourceError(
                f"{origin}: the label values {bad} are neither a class of {self.name} nor ignored by it; mend the labels, or list "
                "them under 'ignore' or as a class in a taxonomy file of your own"
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


def taxonomy_names() -> list[str]:
    """Names of the taxonomies that come with segpipe."""
    return sorted(p.stem for p in BUILTIN.glob("*.yaml"))


@lru_cache(maxsize=32)
def load_taxonomy(name: str) -> Taxonomy:
    """A taxonomy by name, or from a YAML file. Raises ConfigError with what is wrong in it."""
    path = BUILTIN / f"{name}.yaml"
    if name not in taxonomy_names():
        path = Path(name)
        if not path.is_file():
            raise ConfigError(f"taxonomy {name!r}: no such file; allowed are a YAML file or {', '.join(taxonomy_names())}")
    return _parse(read_yaml(path), str(path), path.stem)


def taxonomy_of_folder(root: Path, name: str | None, layout: str = "folders") -> Taxonomy:
    """The taxonomy of labelled data: the one named, else the layout's, else `taxonomy.yaml` in the folder, else
    `classes.json` there or above it (CamVid's form, and the sample drive's). Raises ConfigError where there is none."""
    if name or layout in taxonomy_names():
        return load_taxonomy(name or layout)
    if (root / "taxonomy.yaml").is_file():
        return load_taxonomy(str(root / "taxonomy.yaml"))
    for file in (root / "classes.json", root.parent / "classes.json"):
        if file.is_file():
            return _from_json(file)
    raise ConfigError(f"{root}: nothing says what its labels mean; give --taxonomy: a YAML file or {', '.join(taxonomy_names())}")


def _from_json(file: Path) -> Taxonomy:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        entries = [
            {"name": c["name"], "value": c["id"], "common": crosswalk().get(c["name"].lower(), "other")} for c in content["classes"]
        ]
        ignored = sorted({int(content["ignore_index"]), VOID})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{file}: wants {{'ignore_index': n, 'classes': [{{'id': n, 'name': …}}]}} ({error!r})") from None
    camvid = {c.name: c.colour for c in load_taxonomy("camvid").classes}
    entries = [{**e, "colour": camvid[e["name"]]} if e["name"] in camvid else e for e in entries]
    return _parse({"ignore": ignored, "classes": entries}, str(file), file.parent.name)


def _parse(content: dict[str, Any], origin: str, name: str) -> Taxonomy:
    encoding = content.get("encoding", "index")
    if extra := set(content) - {"encoding", "ignore", "classes", "about"} or encoding not in {"index", "colour"}:
        raise ConfigError(f"{origin}: keys are about, encoding (index or colour), ignore and classes; found {extra or encoding!r}")
    try:
        classes = tuple(_class(i, entry, encoding) for i, entry in enumerate(content["classes"]))
        ignore: Any = tuple(tuple(map(int, v)) if encoding == "colour" else int(v) for v in content.get("ignore", ()))
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"{origin}: each class needs name, common and (for colours, else at will) colour ({error!r})") from None
    codes = [c.colour for c in classes] if encoding == "colour" else [v for c in classes for v in c.values]
    doubled = {str(v) for v in [*codes, *ignore] if [*codes, *ignore].count(v) > 1}
    names = [c.name for c in classes]
    if doubled or len(set(names)) < len(names) or not 1 <= len(classes) <= VOID or any(c.common not in COMMON for c in classes):
        raise ConfigError(
            f"{origin}: 1 to {VOID} classes with names of their own, no value twice (found twice: "
            f"{', '.join(sorted(doubled)) or 'none'}), and common one of {', '.join(COMMON)}"
        )
    if encoding == "index" and not all(0 <= v <= 255 for v in [*codes, *ignore]):
        raise ConfigError(f"{origin}: label values are 0 to 255")
    return Taxonomy(name, encoding, classes, ignore)


def _class(i: int, entry: dict[str, Any], encoding: str) -> TaxonomyClass:
    values = entry.get("value", i)
    values = tuple(map(int, values)) if isinstance(values, list) else (int(values),)
    red, green, blue = entry["colour"] if encoding == "colour" or "colour" in entry else _grey(i)
    return TaxonomyClass(str(entry["name"]), values, (int(red), int(green), int(blue)), str(entry.get("common", "other")))


def _grey(i: int) -> Colour:
    """Any colour that keeps classes apart: steps of the golden ratio on the circle of hues."""
    import colorsys

    red, green, blue = colorsys.hsv_to_rgb(i * 0.618033988749895 % 1.0, 0.6, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


@lru_cache(maxsize=1)
def crosswalk() -> dict[str, str]:
    """Class name, in lower case, to its common name: all taxonomies together. They never disagree (a test)."""
    return {c.name.lower(): c.common for name in taxonomy_names() for c in load_taxonomy(name).classes}


def common_name(class_name: str) -> str:
    """The common name of a class; `other` where no taxonomy knows it."""
    return crosswalk().get(class_name.lower().strip(), "other")
