"""Taxonomies out of files, and the crosswalk between them."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path

from segpipe.core.config.job import read_yaml
from segpipe.core.errors import ConfigError
from segpipe.core.taxonomy import Taxonomy
from segpipe.core.taxonomy_check import check_against
from segpipe.core.taxonomy_content import taxonomy_in
from segpipe.core.types import VOID

BUILTIN = Path(__file__).parent / "taxonomies"


def taxonomy_names() -> list[str]:
    """Names of the taxonomies that come with segpipe."""
    return sorted(p.stem for p in BUILTIN.glob("*.yaml"))


@lru_cache(maxsize=32)
def load_taxonomy(name: str) -> Taxonomy:
    """A taxonomy by name, or from a YAML file. Raises ConfigError with what is wrong in it."""
    if name in taxonomy_names():
        return taxonomy_in(read_yaml(BUILTIN / f"{name}.yaml"), name, name, {})
    path = Path(name)
    if not path.is_file():
        raise ConfigError(
            f"taxonomy {name!r}: no such file; allowed are a YAML file or "
            f"{', '.join(taxonomy_names())}"
        )
    return taxonomy_in(read_yaml(path), str(path), path.stem, crosswalk())


def taxonomy_of_folder(root: Path, name: str | None, layout: str = "folders") -> Taxonomy:
    """The taxonomy of labelled data: the one named, else the layout's, else `taxonomy.yaml` in the
    folder, else `classes.json` there or above it (CamVid's form, and the sample drive's). Raises
    ConfigError where there is none, or where the one named contradicts the folder's own."""
    if name or layout in taxonomy_names():
        given = load_taxonomy(name or layout)
        check_folder(given, root)
        return given
    file = _own_file(root)
    if file is not None:
        return _read_own(file)
    raise ConfigError(
        f"{root}: nothing says what its labels mean; give --taxonomy: a YAML file or "
        f"{', '.join(taxonomy_names())}"
    )


def check_folder(given: Taxonomy, root: Path) -> None:
    """Raises ConfigError where a taxonomy contradicts what the folder of the data says of its
    labels."""
    file = _own_file(root)
    if file is None:
        return
    try:
        own = _read_own(file)
    except ConfigError:
        # A file of another program that has the same name: it contradicts nothing.
        return
    check_against(given, own, file)


def _own_file(root: Path) -> Path | None:
    """The file in which a data set says what its labels mean."""
    places = (root / "taxonomy.yaml", root / "classes.json", root.parent / "classes.json")
    return next((p for p in places if p.is_file()), None)


def _read_own(file: Path) -> Taxonomy:
    return load_taxonomy(str(file)) if file.suffix == ".yaml" else _from_json(file)


def _from_json(file: Path) -> Taxonomy:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        entries = [{"name": c["name"], "value": c["id"]} for c in content["classes"]]
        ignored = sorted({int(content["ignore_index"]), VOID})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(
            f"{file}: wants {{'ignore_index': n, 'classes': [{{'id': n, 'name': …}}]}} ({error!r})"
        ) from None
    camvid = {c.name: c.colour for c in load_taxonomy("camvid").classes}
    entries = [{**e, "colour": camvid[e["name"]]} if e["name"] in camvid else e for e in entries]
    found = {"ignore": ignored, "classes": entries}
    return taxonomy_in(found, str(file), file.parent.name, crosswalk())


@lru_cache(maxsize=1)
def crosswalk() -> dict[str, str]:
    """Class name, in lower case, to its common name: all taxonomies together. They never disagree
    (a test)."""
    return {
        c.name.lower(): c.common_class
        for name in taxonomy_names()
        for c in load_taxonomy(name).classes
    }


def common_name(class_name: str) -> str:
    """The common name of a class; `other` where no taxonomy knows it."""
    return crosswalk().get(class_name.lower().strip(), "other")
