"""`segpipe.json`: what a model folder says of itself beside its weights (docs/models.md shows each
key)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from segpipe.core.errors import ModelError
from segpipe.core.taxonomy import BOTH_KEYS, COMMON, nearest_common
from segpipe.inference.models.closed import check_file, read_json
from segpipe.inference.models.colours import colour_of
from segpipe.inference.models.preprocess import Preprocessing
from segpipe.inference.models.spec import MAX_CLASSES, ClassInfo

FILE = "segpipe.json"
KEYS = ("about", "classes", "preprocessing", "threshold")
CLASS_KEYS = ("id", "name", "colour", "common_class", "common")
BACKGROUND = "background"
MISMATCH = f"{FILE} lists {{}} classes, but the network gives {{}}"


@dataclass(frozen=True, slots=True)
class ClassEntry:
    """A class as a file lists it; without a colour or a common class, those follow from its
    name."""

    name: str
    colour: tuple[int, int, int] | None = None
    common_class: str | None = None


@dataclass(frozen=True, slots=True)
class ModelFile:
    """The content of a `segpipe.json`; nothing is set where there is none."""

    classes: tuple[ClassEntry, ...] = ()
    threshold: float | None = None
    preprocessing: Preprocessing | None = None


def read_model_file(folder: Path, source: str) -> ModelFile:
    """The folder's `segpipe.json`. Raises ModelError for a key or a value that isn't allowed."""
    check_file(folder / FILE, source)
    if not (folder / FILE).exists():
        return ModelFile()
    content = read_json(folder / FILE, source)
    if unknown := sorted(set(content) - set(KEYS)):
        raise ModelError(
            f"{source}: {FILE} has {', '.join(unknown)}; allowed are {', '.join(KEYS)}"
        )
    entries = class_entries(content.get("classes", []), source, FILE)
    return ModelFile(entries, _threshold(content, source), _preprocessing(content, source))


def class_entries(listed: Any, source: str, origin: str) -> tuple[ClassEntry, ...]:
    """Classes as a file lists them, in the order of the network's outputs: names, or mappings of
    CLASS_KEYS."""
    if isinstance(listed, list) and len(listed) > MAX_CLASSES:
        raise ModelError(
            f"{source}: {origin} lists {len(listed)} classes; at most {MAX_CLASSES} fit a byte"
        )
    try:
        found = [{"name": c} if isinstance(c, str) else dict(c) for c in listed]
        ids = [int(c.get("id", i)) for i, c in enumerate(found)]
        entries = tuple(_entry(c, source, origin) for c in found)
    except (KeyError, TypeError, ValueError) as error:
        raise ModelError(
            f"{source}: each class in {origin} needs id, name and colour ({error!r}); "
            "common_class is optional"
        ) from None
    if ids != list(range(len(ids))) and ids != [1]:
        raise ModelError(
            f"{source}: the ids of the classes in {origin} must be 0, 1, 2, …; found {ids}"
        )
    return entries


def _entry(content: dict[str, Any], source: str, origin: str) -> ClassEntry:
    name = str(content["name"])
    if unknown := sorted(set(content) - set(CLASS_KEYS)):
        raise ModelError(
            f"{source}: class {name!r} in {origin} has {', '.join(map(str, unknown))}; allowed "
            "are id, name, colour, common_class"
        )
    if "common_class" in content and "common" in content:
        raise ModelError(f"{source}: class {name!r} in {origin} {BOTH_KEYS}")
    common = content.get("common_class", content.get("common"))
    if common is not None and common not in COMMON:
        raise ModelError(
            f"{source}: class {name!r} in {origin} has the common_class "
            f"{common!r}{nearest_common(str(common))}; "
            f"allowed are {', '.join(COMMON)}"
        )
    if not content.get("colour"):
        return ClassEntry(name, None, common)
    red, green, blue = content["colour"]
    return ClassEntry(name, (int(red), int(green), int(blue)), common)


def _threshold(content: dict[str, Any], source: str) -> float | None:
    value = content.get("threshold")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 < value < 1:
        raise ModelError(
            f"{source}: {FILE} has the threshold {value!r}; it is a probability between 0 and 1, "
            "such as 0.5"
        )
    return float(value)


def _preprocessing(content: dict[str, Any], source: str) -> Preprocessing | None:
    if "preprocessing" not in content:
        return None
    try:
        fields: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v for k, v in content["preprocessing"].items()
        }
        return Preprocessing(**fields)
    except (TypeError, ValueError, AttributeError, ModelError) as error:
        raise ModelError(f"{source}: {FILE}, preprocessing: {error}") from None


def classes_of_outputs(
    entries: tuple[ClassEntry, ...], outputs: int, source: str, mismatch: str = MISMATCH
) -> tuple[ClassInfo, ...]:
    """The classes of a network with `outputs` channels; without entries they are called class_0,
    class_1, ….

    One output is a sigmoid: `background` is added as class 0, and the network's own class is class
    1. A list may name both, or the network's own class alone. Raises ModelError where the list
    doesn't fit; `mismatch` says how, with the two numbers.
    """
    if outputs == 1 and len(entries) < 2:
        own = entries[0] if entries else ClassEntry("class_1")
        if own.name.strip().lower() == BACKGROUND:
            raise ModelError(
                f"{source}: its only class is called {own.name!r}, and segpipe adds a class of "
                "that name for the pixels below "
                "the threshold; give the class that the output stands for its own name"
            )
        entries = (ClassEntry(BACKGROUND), own)
    entries = entries or tuple(ClassEntry(f"class_{i}") for i in range(outputs))
    if len(entries) != max(2, outputs):
        raise ModelError(f"{source}: {mismatch.format(len(entries), outputs)}")
    return tuple(
        ClassInfo(i, e.name, e.colour or colour_of(i, e.name), e.common_class)
        for i, e in enumerate(entries)
    )


def threshold_of(outputs: int, stated: float | None, source: str) -> float | None:
    """The threshold of a network with `outputs` channels: None where its classes compete by
    softmax."""
    if outputs == 1:
        return 0.5 if stated is None else stated
    if stated is not None:
        raise ModelError(
            f"{source}: {FILE} has a threshold, which is for networks with one output; this one "
            f"has {outputs}"
        )
    return None
