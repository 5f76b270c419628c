"""The job: what to read, how to sample it, which model, where to write. The same models are the flow's parameters."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

import yaml
from pydantic import BaseModel, Field, ValidationError

from segpipe.errors import ConfigError
from segpipe.secrets import redact, shown
from segpipe.sections import (
    ModelSettings,
    QualitySettings,
    ReadSettings,
    Sampling,
    StoreSettings,
    StreamSettings,
    Strict,
    WorkerSettings,
)
from segpipe.where import Polygon, RegionSettings, TimeSettings, TrackSettings

__all__ = [
    "Job", "ModelSettings", "QualitySettings", "ReadSettings", "RegionSettings", "Sampling", "StoreSettings", "StreamSettings",
    "Strict", "TimeSettings", "TrackSettings", "WorkerSettings", "apply_sets", "explain", "make_job", "put", "read_yaml",
    "validated",
]  # fmt: skip

Model = TypeVar("Model", bound=BaseModel)


class Job(Strict):
    """One job: footage in, dataset out."""

    inputs: tuple[str, ...] = Field(min_length=1, description="image files, folders, video files and globs, mixed freely")
    output: str = Field(min_length=1, description="the dataset's folder, or a URL such as s3://bucket/dataset")
    sampling: Sampling = Sampling()
    model: ModelSettings = ModelSettings()
    worker: WorkerSettings = WorkerSettings()
    read: ReadSettings = ReadSettings()
    stream: StreamSettings = StreamSettings()
    store: StoreSettings = StoreSettings()
    time: TimeSettings = TimeSettings()
    track: TrackSettings = TrackSettings()
    regions: RegionSettings = RegionSettings()
    ignore_regions: tuple[Polygon, ...] = Field((), description="polygons of [x, y] from 0 to 1 that don't count")
    ego_mask: Literal["off", "auto"] = Field("off", description="auto finds bonnet, dashboard and burnt-in text, which don't count")
    quality: QualitySettings = QualitySettings()
    replace: bool = Field(False, description="throw away a dataset that was made with other settings")
    retry_failed: bool = Field(False, description="do shards with failed frames again")


def read_yaml(path: str | Path) -> dict[str, Any]:
    """Read a job's YAML as a mapping. Raises ConfigError where it is missing, unreadable or no mapping."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: the config can't be read ({error.strerror}); name an existing YAML file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML ({' '.join(str(error).split())})") from None
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: the config is a {type(content).__name__}; a mapping of keys is needed")
    return content


def apply_sets(content: dict[str, Any], sets: list[str]) -> dict[str, Any]:
    """Put `a.b=value` assignments (values in YAML) over a mapping; returns a new mapping."""
    result = dict(content)
    for text in sets:
        key, sign, value = text.partition("=")
        if not sign or not key.strip():
            raise ConfigError(f"--set {text}: give it as key=value, such as --set sampling.every_n=5")
        put(result, key.strip(), _value(text, value), f"--set {text}")
    return result


def put(content: dict[str, Any], key: str, value: Any, origin: str = "the job") -> None:
    """Put a value at `a.b` into a mapping. Raises ConfigError where `a` is no group of keys."""
    *parents, last = key.split(".")
    for parent in parents:
        inner = content.get(parent)
        if inner is not None and not isinstance(inner, dict):
            raise ConfigError(f"{origin}: {parent} is a value, not a group of keys")
        content[parent] = dict(inner or {})
        content = content[parent]
    content[last] = value


def _value(text: str, value: str) -> Any:
    """A value on the command line: YAML, but `fake:` is a model and not a mapping."""
    try:
        found = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {text}: {value!r} is no valid YAML value") from None
    return value if isinstance(found, dict) and not value.lstrip().startswith("{") else found


def make_job(content: dict[str, Any], origin: str = "the job") -> Job:
    """Validate a mapping. Raises ConfigError with one line that names each wrong key and what is allowed there."""
    return validated(Job, content, origin)


def validated(kind: type[Model], content: dict[str, Any], origin: str) -> Model:
    """A mapping as a model of settings. Raises ConfigError with one line that names each wrong key."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {explain(error, kind)}") from None


def explain(error: ValidationError, kind: type[BaseModel]) -> str:
    """A pydantic error as one line: each place, what is wrong there, and the keys that are allowed."""
    parts = []
    for item in error.errors(include_url=False):
        place = ".".join(str(p) for p in item["loc"]) or "job"
        if item["type"] == "extra_forbidden":
            parts.append(f"unknown key '{place}' (allowed there: {', '.join(_allowed(kind, item['loc'][:-1]))})")
        elif item["type"] == "model_type":
            parts.append(
                f"{place}: a group of keys is needed ({', '.join(_allowed(kind, item['loc']))}; found {_shown(item['input'])!r})"
            )
        else:
            given = "" if item["type"] == "missing" else f" (found {_shown(item['input'])!r})"
            parts.append(f"{place}: {redact(item['msg'].removeprefix('Value error, '))}{given}")
    return "; ".join(parts)


def _shown(value: Any) -> Any:
    """What was found, as it may be shown: URLs without their secrets."""
    if isinstance(value, dict):
        return {k: _shown(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_shown(v) for v in value]
    return shown(value) if isinstance(value, str) and "://" in value else value


def _allowed(kind: type[BaseModel], place: tuple[int | str, ...]) -> list[str]:
    """The keys of the group at a place; positions in lists are passed over."""
    model = kind
    for name in place:
        if isinstance(name, int):
            continue
        inner: Any = model.model_fields[name].annotation
        for argument in (inner, *get_args(inner)):
            if isinstance(argument, type) and issubclass(argument, BaseModel):
                model = argument
                break
        else:
            return []
    return list(model.model_fields)
