"""The sections of a job, each a group of keys in its YAML: sampling, model, worker, store. Time and place: `segpipe.where`."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from segpipe.units import bytes_of, seconds_of, utc_of

MOST_S = 10 * 366 * 86_400


class Strict(BaseModel):
    """Unknown keys are refused: a misspelt key must never be a silent default."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Sampling(Strict):
    """Which frames of a video are segmented. At most one rule; without any, all are. Images are always all taken."""

    every_n: int | None = Field(None, ge=1, description="every n-th frame of the packet index, the first included")
    per_second: float | None = Field(
        None, gt=0, le=1000, allow_inf_nan=False, description="n frames a second, each the nearest to its ideal time"
    )
    every_m: float | None = Field(
        None, gt=0, le=100_000, allow_inf_nan=False, description="a frame every n metres of the track; needs a position"
    )
    keyframes: bool = Field(False, description="key frames only; the rest is not decoded")

    @model_validator(mode="after")
    def _one_rule(self) -> Sampling:
        given = [n for n in ("every_n", "per_second", "every_m", "keyframes") if getattr(self, n)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other: give one")
        return self


class ModelSettings(Strict):
    """The network and where it runs."""

    source: str = Field("builtin:street", description="builtin:street, smp:ID, hf:ID, torchvision:NAME or fake:")
    device: str = Field("auto", description="auto (CUDA when there), cpu, cuda or cuda:N")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto is float32 on a CPU and float16 autocast on CUDA"
    )
    allow_untrained: bool = Field(False, description="run a model whose weights were never trained (a smoke test)")


class WorkerSettings(Strict):
    """Sizes of the batches and of the queues between the stages."""

    batch_size: int = Field(0, ge=0, le=1024, description="frames in one batch; 0: one on a CPU, eight on CUDA")
    lanes: int = Field(0, ge=0, le=64, description="batches in work at once; 0: one per core on a CPU, two on CUDA")
    decode_threads: int = Field(0, ge=0, le=64, description="threads of a video decoder; 0: one on a CPU, more on CUDA")
    max_memory: str | None = Field(None, description="bounds the queues between the stages, such as 500MB or 2GB")

    @field_validator("max_memory")
    @classmethod
    def _a_size(cls, value: str | None) -> str | None:
        if value is not None:
            bytes_of(value)
        return value


class ReadSettings(Strict):
    """How files are decoded, and what is too much."""

    isolate: bool = Field(True, description="decode in a process of its own, so that a crash of a codec costs one frame")
    timeout_s: float = Field(
        8.0, gt=0, le=3600, description="a file that is worked on for so long without progress counts as hanging"
    )
    max_pixels: int = Field(
        64_000_000, ge=1, le=2_000_000_000, description="larger pictures are refused: they may be decompression bombs"
    )


class StreamSettings(Strict):
    """Live streams: when to stop, how to keep up, how to come back."""

    duration: str | None = Field(None, description="how long to record, such as 90s, 30m, 8h or 1h30m; without: until stopped")
    until: str | None = Field(None, description="when to stop, such as 2026-05-01T18:00:00Z")
    transport: Literal["tcp", "udp"] = Field("tcp", description="of RTSP")
    clock: Literal["arrival", "media"] = Field(
        "arrival", description="media: a recording that is played as a stream keeps its pace"
    )
    on_lag: Literal["drop", "block"] = Field(
        "drop", description="when the model can't keep up: drop frames and count them, or wait"
    )
    shard_s: float = Field(
        60.0, gt=0, le=86_400, description="seconds of stream in one shard, and the oldest that waits for commit"
    )
    timeout_s: float = Field(10.0, gt=0, le=3600, description="a stream that gives nothing for so long is connected anew")
    backoff_s: float = Field(1.0, gt=0, le=3600, description="the first wait before connecting again; it doubles, with jitter")
    max_backoff_s: float = Field(60.0, gt=0, le=86_400, description="the longest wait before connecting again")
    give_up_s: float | None = Field(None, gt=0, description="end with an error after so long without a frame; null: never")

    @field_validator("duration", "until", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        """YAML makes numbers of durations and datetimes of moments."""
        if isinstance(value, datetime):
            return value.isoformat() if value.tzinfo is not None else value.isoformat(" ")
        return str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value

    @field_validator("duration")
    @classmethod
    def _a_duration(cls, value: str | None) -> str | None:
        if value is not None and seconds_of(value) > MOST_S:
            raise ValueError(f"{value[:40]!r} is more than ten years")
        return value

    @field_validator("until")
    @classmethod
    def _a_time(cls, value: str | None) -> str | None:
        if value is not None:
            utc_of(value)
        return value


class StoreSettings(Strict):
    """How the dataset is laid out."""

    frames_per_shard: int = Field(
        512, ge=1, le=100_000, description="frames in one shard, the unit of retry and commit; grows with long videos"
    )
    compression_level: int = Field(3, ge=1, le=19, description="ZSTD level")


class QualitySettings(Strict):
    """Measures of each frame, and the thresholds of `usable`. A threshold of null isn't asked."""

    measure: bool = Field(True, description="sharpness, brightness, contrast and saturation; without, their columns are empty")
    min_sharpness: float | None = Field(5.0, ge=0, description="variance of the Laplacian at a width of 640")
    min_brightness: float | None = Field(15.0, ge=0, le=255, description="mean grey level")
    max_brightness: float | None = Field(240.0, ge=0, le=255, description="mean grey level")
    min_contrast: float | None = Field(8.0, ge=0, le=255, description="standard deviation of the grey levels")
    max_saturated_fraction: float | None = Field(0.5, ge=0, le=1, description="share of pixels that are black or white")
    min_confidence: float | None = Field(None, ge=0, le=1, description="mean confidence of the labels")
    max_entropy: float | None = Field(None, ge=0, description="mean entropy of the labels, in nats")
    max_changed_fraction: float | None = Field(None, ge=0, le=1, description="share of pixels with another class than before")
