"""Taxonomies out of files, and the crosswalk between them."""

from __future__ import annotations

import colorsys
import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from segpipe.config import read_yaml
from segpipe.errors import ConfigError
from segpipe.frames import VOID
from segpipe.taxonomy import COMMON, Colour, Taxonomy, TaxonomyClass

BUILTIN = Path(__file__).parent / "taxonomies"


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
    extra = sorted(map(str, set(content) - {"encoding", "ignore", "classes", "about"}))
    if extra or encoding not in {"index", "colour"}:
        found = ", ".join(extra) or f"encoding: {encoding}"
        raise ConfigError(f"{origin}: keys are about, encoding (index or colour), ignore and classes; found {found}")
    try:
        classes = tuple(_class(i, entry, encoding) for i, entry in enumerate(content["classes"]))
        ignore: Any = tuple(tuple(map(int, v)) if encoding == "colour" else int(v) for v in content.get("ignore", ()))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
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
    red, green, blue = colorsys.hsv_to_rgb(i * 0.618033988749895 % 1.0, 0.6, 0.9)
    return round(red * 255), round(green * 255), round(blue * 255)


@lru_cache(maxsize=1)
def crosswalk() -> dict[str, str]:
    """Class name, in lower case, to its common name: all taxonomies together. They never disagree (a test)."""
    return {c.name.lower(): c.common for name in taxonomy_names() for c in load_taxonomy(name).classes}


def common_name(class_name: str) -> str:
    """The common name of a class; `other` where no taxonomy knows it."""
    return crosswalk().get(class_name.lower().strip(), "other")
