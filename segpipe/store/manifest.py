"""`dataset.json`: what the dataset was made with. A run whose settings differ is refused, the difference named."""

from __future__ import annotations

import json
from typing import Any

from segpipe.config import Job
from segpipe.errors import DatasetError, DatasetMismatch
from segpipe.models.spec import ClassInfo, ModelSpec
from segpipe.store.files import write_text
from segpipe.store.places import AnyPath, read_bytes
from segpipe.store.schema import SCHEMA_VERSION

FILE = "dataset.json"


def make_manifest(job: Job, spec: ModelSpec, precision: str) -> dict[str, Any]:
    """All that decides what a row holds: schema, model, sampling, regions, quality, and the size of shards, which names the files.

    Time and track aren't among it: they differ from clip to clip, and rows are put right where they change (`resume`).
    """
    return {
        "format": "segpipe",
        "schema_version": SCHEMA_VERSION,
        "model": json.loads(json.dumps(spec.describe() | {"precision": precision})),
        "sampling": job.sampling.model_dump(),
        "frames_per_shard": job.store.frames_per_shard,
        "regions": job.regions.model_dump(mode="json"),
        "ignore_regions": json.loads(json.dumps(job.ignore_regions)),
        "ego_mask": job.ego_mask,
        "quality": job.quality.model_dump(),
    }


def read_manifest(root: AnyPath) -> dict[str, Any] | None:
    """The manifest of a dataset, or None where the folder has none. Raises DatasetError for one that isn't ours."""
    path = root / FILE
    try:
        content = json.loads(read_bytes(path))
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise DatasetError(f"{root}: not a folder; a dataset is a folder with {FILE}") from None
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: can't be read ({error}); it is written by segpipe run") from None
    if not isinstance(content, dict) or content.get("format") != "segpipe":
        raise DatasetError(f"{path}: not a segpipe dataset; choose another output folder")
    version = content.get("schema_version")
    if version != SCHEMA_VERSION:
        raise DatasetError(
            f"{path}: schema version {version}; this segpipe reads and writes {SCHEMA_VERSION}: choose another output folder"
        )
    return content


def write_manifest(root: AnyPath, manifest: dict[str, Any]) -> None:
    """Write `dataset.json` aside and rename it into place."""
    write_text(root / FILE, json.dumps(manifest, indent=2, ensure_ascii=False) + "\n")


def check_same(root: AnyPath, there: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Raises DatasetMismatch that names each difference, where a dataset was made with other settings."""
    found = _differences(there, wanted)
    if found:
        raise DatasetMismatch(
            f"{root}: this dataset was made with other settings: {'; '.join(found)}. Write to another folder with -o, "
            "or throw this dataset away with --replace"
        )


def classes_of(manifest: dict[str, Any]) -> tuple[ClassInfo, ...]:
    """The classes with their colours."""
    return tuple(
        ClassInfo(c["id"], c["name"], (c["colour"][0], c["colour"][1], c["colour"][2])) for c in manifest["model"]["classes"]
    )


def _differences(there: Any, wanted: Any, place: str = "") -> list[str]:
    if isinstance(there, dict) and isinstance(wanted, dict):
        keys = list(dict.fromkeys([*there, *wanted]))
        return [d for k in keys for d in _differences(there.get(k), wanted.get(k), f"{place}.{k}" if place else k)]
    if there == wanted:
        return []
    if isinstance(there, list) and isinstance(wanted, list) and place.endswith("classes"):
        return [f"{place}: {len(there)} there ({_names(there)}), {len(wanted)} wanted ({_names(wanted)})"]
    return [f"{place}: {there} there, {wanted} wanted"]


def _names(classes: list[dict[str, Any]]) -> str:
    names = [str(c["name"]) for c in classes]
    return ", ".join(names[:4]) + (", …" if len(names) > 4 else "")
