"""The job: what to read, how to sample it, which model, where to write. The same models are the
flow's parameters."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError

from segpipe.core.config.explain import explain
from segpipe.core.config.overrides import apply_sets, put, read_yaml
from segpipe.core.config.regions import Polygon, RegionSettings
from segpipe.core.config.sections import (
    IdentitySettings,
    ModelSettings,
    QualitySettings,
    ReadSettings,
    Sampling,
    StoreSettings,
    WorkerSettings,
)
from segpipe.core.config.stream import StreamSettings
from segpipe.core.config.strict import Strict
from segpipe.core.config.time_and_place import TimeSettings, TrackSettings
from segpipe.core.errors import ConfigError

__all__ = [
    "IdentitySettings",
    "Job",
    "ModelSettings",
    "QualitySettings",
    "ReadSettings",
    "RegionSettings",
    "Sampling",
    "StoreSettings",
    "StreamSettings",
    "Strict",
    "TimeSettings",
    "TrackSettings",
    "WorkerSettings",
    "apply_sets",
    "explain",
    "make_job",
    "put",
    "read_yaml",
    "validated",
]

Model = TypeVar("Model", bound=BaseModel)


class Job(Strict):
    """One job: footage in, dataset out."""

    inputs: tuple[str, ...] = Field(
        min_length=1, description="image files, folders, video files and globs, mixed freely"
    )
    output: str = Field(
        min_length=1, description="the dataset's folder, or a URL such as s3://bucket/dataset"
    )
    follow_links: bool = Field(
        False,
        description="read what links in an input folder lead to outside of it, linked folders too",
    )
    identity: IdentitySettings = IdentitySettings()
    sampling: Sampling = Sampling()
    model: ModelSettings = ModelSettings()
    worker: WorkerSettings = WorkerSettings()
    read: ReadSettings = ReadSettings()
    stream: StreamSettings = StreamSettings()
    store: StoreSettings = StoreSettings()
    time: TimeSettings = TimeSettings()
    track: TrackSettings = TrackSettings()
    regions: RegionSettings = RegionSettings()
    ignore_regions: tuple[Polygon, ...] = Field(
        (), description="polygons of [x, y] from 0 to 1 that don't count"
    )
    ego_mask: Literal["off", "auto"] = Field(
        "off", description="auto finds bonnet, dashboard and burnt-in text, which don't count"
    )
    quality: QualitySettings = QualitySettings()
    replace: bool = Field(
        False, description="delete a dataset that was made with other settings, and start over"
    )
    retry_failed: bool = Field(False, description="run shards with failed frames again")


def make_job(content: dict[str, Any], origin: str = "the job") -> Job:
    """Validate a mapping. Raises ConfigError with one line that names each wrong key and what is
    allowed there."""
    return validated(Job, content, origin)


def validated(kind: type[Model], content: dict[str, Any], origin: str) -> Model:
    """A mapping as a model of settings. Raises ConfigError with one line that names each wrong
    key."""
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise ConfigError(f"{origin}: {explain(error, kind)}") from None
