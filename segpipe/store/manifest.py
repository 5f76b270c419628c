"""`dataset.json`: what the dataset was made with."""

from __future__ import annotations

import itertools
import json
import shlex
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from segpipe.core.config.job import Job, Sampling
from segpipe.core.config.regions import Polygon, RegionSettings
from segpipe.core.config.sections import QualitySettings
from segpipe.core.errors import DatasetError
from segpipe.core.json_text import read_json
from segpipe.inference.models.spec import MAX_CLASSES, ClassInfo, ModelSpec
from segpipe.runtime.files.atomic import write_text
from segpipe.runtime.files.paths import AnyPath, read_bytes
from segpipe.store.schema import SCHEMA_VERSION

FILE = "dataset.json"
MIGRATED = (3, 4)
"""The schema versions that `segpipe migrate` brings to the present one."""
MIGRATING = ".migrating"
"""The folder in a dataset in which it is made anew."""
_MOST_NAME, _MOST_POLYGONS, _MOST_SHOWN = 500, 1000, 300
_Byte = Annotated[int, Field(ge=0, le=255)]
Content = dict[str, Any]
"""A manifest as JSON has it: what is compared, and what is written."""
_RESTORE = "restore the file from a copy, or make the dataset anew with segpipe run --replace"


class _Part(BaseModel):
    # What another version of segpipe adds is kept
    model_config = ConfigDict(frozen=True, extra="allow", ser_json_inf_nan="constants")


class ManifestClass(_Part):
    """A class of the model; `colour` is RGB, 0 to 255."""

    id: int
    name: str = Field(min_length=1, max_length=_MOST_NAME)
    colour: tuple[_Byte, _Byte, _Byte]
    common_class: str | None = None


class ManifestModel(_Part):
    """The model that labelled the frames (`ModelSpec.describe`), and its precision."""

    source: str
    digest: str
    classes: tuple[ManifestClass, ...] = Field(min_length=1, max_length=MAX_CLASSES)
    preprocessing: dict[str, Any] = {}
    scores: str = "logits"
    trained: bool = True
    threshold: float | None = None
    precision: str

    @field_validator("classes")
    @classmethod
    def _in_order(cls, value: tuple[ManifestClass, ...]) -> tuple[ManifestClass, ...]:
        if [c.id for c in value] != list(range(len(value))):
            raise ValueError("the ids count from 0, in order")
        return value


class Manifest(_Part):
    """All that decides what a row holds: schema, model, sampling, regions, quality, and the size of
    shards, which names the files.

    Time and track aren't among it: they differ from clip to clip, and rows are updated where they
    change (`resume`). Nor is the choice of video streams: each is a source of its own, and which
    sources a dataset holds differs from run to run.
    """

    format: Literal["segpipe"] = "segpipe"
    schema_version: int = SCHEMA_VERSION
    model: ManifestModel
    sampling: Sampling
    frames_per_shard: int = Field(ge=1)
    regions: RegionSettings
    ignore_regions: tuple[Polygon, ...] = Field(max_length=_MOST_POLYGONS)
    ego_mask: str = "off"
    quality: QualitySettings = QualitySettings()

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The classes with their colours, in the order of their labels."""
        return tuple(ClassInfo(c.id, c.name, c.colour, c.common_class) for c in self.model.classes)

    def content(self) -> Content:
        """The manifest as `dataset.json` has it."""
        return self.model_dump(mode="json", exclude_unset=True)


def make_manifest(job: Job, spec: ModelSpec, precision: str) -> Manifest:
    """The manifest of the dataset that a job makes with a model."""
    return Manifest.model_validate(
        {
            "format": "segpipe",
            "schema_version": SCHEMA_VERSION,
            "model": json.loads(json.dumps(spec.describe() | {"precision": precision})),
            **decided_by_job(job),
        }
    )


def decided_by_job(job: Job) -> Content:
    """The part of a manifest that a job decides without its model."""
    return {
        "sampling": job.sampling.model_dump(exclude={"stream"}),
        "frames_per_shard": job.store.frames_per_shard,
        "regions": job.regions.model_dump(mode="json"),
        "ignore_regions": json.loads(json.dumps(job.ignore_regions)),
        "ego_mask": job.ego_mask,
        "quality": job.quality.model_dump(),
    }


def read_content(root: AnyPath) -> Content | None:
    """What `dataset.json` holds, or None where the folder has none. Raises DatasetError for one
    that isn't ours, or of another schema."""
    content = read_any_content(root)
    version = SCHEMA_VERSION if content is None else content.get("schema_version")
    if version in MIGRATED:
        raise DatasetError(
            f"{root}: schema version {version}; run segpipe migrate {shlex.quote(str(root))} to "
            f"bring it to {SCHEMA_VERSION}"
        )
    if version != SCHEMA_VERSION:
        newer = isinstance(version, int) and version > SCHEMA_VERSION
        todo = "use a newer segpipe" if newer else "choose another output folder"
        raise DatasetError(
            f"{root / FILE}: schema version {str(version)[:_MOST_SHOWN]}; this segpipe reads "
            f"and writes {SCHEMA_VERSION}: {todo}"
        )
    return content


def read_any_content(root: AnyPath) -> Content | None:
    """What `dataset.json` holds, whatever its schema version, or None where the folder has none.
    Raises DatasetError for one that isn't ours."""
    path = root / FILE
    try:
        content = read_json(read_bytes(path))
        # As it is written: JSON may name half a character, which no file can hold.
        json.dumps(content, ensure_ascii=False).encode()
    except FileNotFoundError:
        return None
    except NotADirectoryError:
        raise DatasetError(f"{root}: not a folder; a dataset is a folder with {FILE}") from None
    except (OSError, ValueError) as error:
        raise DatasetError(
            f"{path}: can't be read ({error}); it is written by segpipe run"
        ) from None
    if not isinstance(content, dict) or content.get("format") != "segpipe":
        raise DatasetError(f"{path}: not a segpipe dataset; choose another output folder")
    if said := _wrong_shape(content):
        raise DatasetError(f"{path}: {said}; {_RESTORE}")
    return content


def _wrong_shape(content: Content) -> str:
    """What is wrong with the parts that are compared as they are; empty where nothing is. What is
    missing is told of by whoever needs it."""
    parts = [("sampling", content.get("sampling", {})), ("model", content.get("model", {}))]
    wrong = next((name for name, part in parts if not isinstance(part, dict)), "")
    if wrong:
        return f"{wrong} isn't what segpipe run writes"
    classes = content.get("model", {}).get("classes", [])
    if not isinstance(classes, list) or len(classes) > MAX_CLASSES:
        return f"model.classes isn't a list of at most {MAX_CLASSES} classes"
    if not all(isinstance(c, dict) and isinstance(c.get("name"), str) for c in classes):
        return "model.classes isn't what segpipe run writes (a class has no name)"
    return ""


def read_manifest(root: AnyPath) -> Manifest | None:
    """The manifest of a dataset, or None where the folder has none. Raises DatasetError as
    `read_content`, and for a key that is missing or isn't what segpipe writes: a default could be
    another than the dataset was made with."""
    content = read_content(root)
    if content is None:
        return None
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        raise DatasetError(f"{root / FILE}: {_wrong(error)}; {_RESTORE}") from None


def _wrong(error: ValidationError) -> str:
    """What is wrong with the first key that is, in words."""
    first = error.errors(include_url=False, include_context=False)[0]
    keys = list(itertools.takewhile(lambda part: isinstance(part, str), first["loc"]))
    if first["type"] == "missing" and len(keys) == len(first["loc"]):
        return f"the key {'.'.join(map(str, keys))} is missing"
    name = ".".join(map(str, keys[: 2 if keys[:1] == ["model"] else 1]))
    return f"{name} isn't what segpipe run writes ({first['msg']})"[:_MOST_SHOWN]


def write_manifest(root: AnyPath, manifest: Manifest) -> None:
    """Write `dataset.json` aside and rename it into place."""
    text = json.dumps(manifest.content(), indent=2, ensure_ascii=False)
    write_text(root / FILE, text + "\n")
