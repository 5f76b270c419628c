"""What a taxonomy's file holds: read and checked."""

from __future__ import annotations

import colorsys
from typing import Any

from segpipe.core.errors import ConfigError
from segpipe.core.taxonomy import (
    BOTH_KEYS,
    COMMON,
    Colour,
    Taxonomy,
    TaxonomyClass,
    nearest_common,
)
from segpipe.core.types import VOID


def taxonomy_in(content: dict[str, Any], origin: str, name: str, known: dict[str, str]) -> Taxonomy:
    """A taxonomy from a file's content; `known` gives the common names of classes that state
    none. Raises ConfigError, which names the `origin`."""
    encoding = content.get("encoding", "index")
    extra = sorted(map(str, set(content) - {"encoding", "ignore", "classes", "about"}))
    if extra or encoding not in {"index", "colour"}:
        found = ", ".join(extra) or f"encoding: {encoding}"
        raise ConfigError(
            f"{origin}: keys are about, encoding (index or colour), ignore and classes; "
            f"found {found}"
        )
    try:
        classes = tuple(
            _class(i, entry, encoding, known, origin) for i, entry in enumerate(content["classes"])
        )
        ignore: Any = tuple(
            tuple(map(int, v)) if encoding == "colour" else int(v)
            for v in content.get("ignore", ())
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{origin}: each class needs a name and `common_class`; `colour` is required with "
            f"`encoding: colour` ({error!r})"
        ) from None
    _check(classes, ignore, encoding, origin)
    return Taxonomy(name, encoding, classes, ignore)


def _check(
    classes: tuple[TaxonomyClass, ...], ignore: tuple[Any, ...], encoding: str, origin: str
) -> None:
    """Raises ConfigError for classes that can't be told apart, or aren't known by their common
    names."""
    codes = (
        [c.colour for c in classes]
        if encoding == "colour"
        else [v for c in classes for v in c.values]
    )
    doubled = {str(v) for v in [*codes, *ignore] if [*codes, *ignore].count(v) > 1}
    names = [c.name for c in classes]
    if (
        doubled
        or len(set(names)) < len(names)
        or not 1 <= len(classes) <= VOID
        or any(c.common_class not in COMMON for c in classes)
    ):
        raise ConfigError(
            f"{origin}: 1 to {VOID} classes with names of their own, no value twice (found twice: "
            f"{', '.join(sorted(doubled)) or 'none'}), and common_class one of "
            f"{', '.join(COMMON)}{_unknown(classes)}"
        )
    if encoding == "index" and not all(0 <= v <= 255 for v in [*codes, *ignore]):
        raise ConfigError(f"{origin}: label values are 0 to 255")


def _unknown(classes: tuple[TaxonomyClass, ...]) -> str:
    """For a message: the common names that don't exist, with the nearest ones."""
    found = dict.fromkeys(c.common_class for c in classes if c.common_class not in COMMON)
    return "".join(f"; found {name}{nearest_common(name)}" for name in found)


def _class(
    i: int, entry: dict[str, Any], encoding: str, known: dict[str, str], origin: str
) -> TaxonomyClass:
    name = str(entry["name"])
    if "common_class" in entry and "common" in entry:
        raise ConfigError(f"{origin}: class {name!r} {BOTH_KEYS}")
    common = entry.get(
        "common_class", entry.get("common", known.get(name.lower().strip(), "other"))
    )
    values = entry.get("value", i)
    values = tuple(map(int, values)) if isinstance(values, list) else (int(values),)
    red, green, blue = entry["colour"] if encoding == "colour" or "colour" in entry else _grey(i)
    return TaxonomyClass(name, values, (int(red), int(green), int(blue)), str(common))


def _grey(i: int) -> Colour:
    """Any colour that keeps classes apart: steps of the golden ratio on the circle of hues."""
    red, green, blue = colorsys.hsv_to_rgb(i * 0.618033988749895 % 1.0, 0.6, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)
