"""The sections of a job, each a group of keys in its YAML: sampling, model, worker, store. Time and
place stand beside it."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from segpipe.core.config.strict import Strict
from segpipe.core.units import bytes_of


class Sampling(Strict):
    """Which frames of a video are segmented. At most one rule; without any, all are. Images are
    always all taken."""

    every_n: int | None = Field(
        None, ge=1, description="every n-th frame of the packet index, the first included"
    )
    per_second: float | None = Field(
        None,
        gt=0,
        le=1000,
        allow_inf_nan=False,
        description="n frames a second, each the nearest to its ideal time",
    )
    every_m: float | None = Field(
        None,
        gt=0,
        le=100_000,
        allow_inf_nan=False,
        description="a frame every n metres of the track; needs a position",
    )
    keyframes: bool = Field(False, description="key frames only; the rest is not decoded")
    stream: Literal["default", "all"] | int = Field(
        "default",
        description="which video streams of a file: default, all, or a number, 0 being the first",
    )

    @field_validator("stream", mode="before")
    @classmethod
    def _a_stream(cls, value: object) -> object:
        """Checked as a whole, so that the message names all that is allowed."""
        number = int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,3}", value) else value
        if number in ("default", "all") or (type(number) is int and 0 <= number <= 999):
            return number
        raise ValueError(
            "which video streams of a file to read: default, all, or the number of one, 0 being "
            "the first"
        )

    @model_validator(mode="after")
    def _one_rule(self) -> Sampling:
        given = [n for n in ("every_n", "per_second", "every_m", "keyframes") if getattr(self, n)]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other: give one")
        return self


class IdentitySettings(Strict):
    """How files are told apart. A file is known by its content: its size and blocks spread over
    it."""

    full: bool = Field(
        False,
        description="compare all bytes of files, too: those that differ only between the blocks "
        "are then told apart",
    )
    settle_s: float = Field(
        1.0,
        ge=0,
        le=3600,
        allow_inf_nan=False,
        description="a file whose size or time changes within so many seconds is still being "
        "written, and left for the next run",
    )


class ModelSettings(Strict):
    """The network and where it runs."""

    source: str = Field(
        "builtin:street", description="builtin:street, smp:ID, hf:ID, torchvision:NAME or fake:"
    )
    device: str = Field("auto", description="auto (CUDA when there), cpu, cuda or cuda:N")
    engine: str = Field("torch", description="what runs the network: torch")
    precision: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto is float32 on a CPU and float16 autocast on CUDA"
    )
    threshold: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="one-class models: above this probability a pixel is of the class; null: the "
        "model's, or 0.5",
    )
    sha256: str | None = Field(
        None,
        pattern=r"^[0-9A-Fa-f]{64}$",
        description="the SHA-256 that the model's weights must have, 64 hexadecimal digits; "
        "others are refused before they are loaded. null: any",
    )
    allow_untrained: bool = Field(
        False, description="run a model whose weights were never trained (a smoke test)"
    )


class WorkerSettings(Strict):
    """Sizes of the batches and of the queues between the stages."""

    batch_size: int = Field(
        0, ge=0, le=1024, description="frames in one batch; 0: one on a CPU, eight on CUDA"
    )
    lanes: int = Field(
        0, ge=0, le=64, description="batches in work at once; 0: one per core on a CPU, two on CUDA"
    )
    decode_threads: int = Field(
        0, ge=0, le=64, description="threads of a video decoder; 0: one on a CPU, more on CUDA"
    )
    max_memory: str | None = Field(
        None, description="bounds the queues between the stages, such as 500MB or 2GB"
    )

    @field_validator("max_memory")
    @classmethod
    def _a_size(cls, value: str | None) -> str | None:
        if value is not None:
            bytes_of(value)
        return value


class ReadSettings(Strict):
    """How files are decoded, and what is too much."""

    isolate: bool = Field(
        True,
        description="decode in a child process: a crash of a codec fails one frame, not the run",
    )
    timeout_s: float = Field(
        8.0,
        gt=0,
        le=3600,
        description="seconds of work on a file without progress, after which it counts as hanging",
    )
    max_pixels: int = Field(
        64_000_000,
        ge=1,
        le=2_000_000_000,
        description="larger pictures are refused: they may be decompression bombs",
    )


class StoreSettings(Strict):
    """How the dataset is laid out."""

    frames_per_shard: int = Field(
        512,
        ge=1,
        le=100_000,
        description="frames in one shard, the unit of retry and commit; grows with long videos",
    )
    compression_level: int = Field(3, ge=1, le=19, description="ZSTD level")


class QualitySettings(Strict):
    """Measures of each frame, and the thresholds of `usable`. A threshold of null isn't checked."""

    measure: bool = Field(
        True,
        description="sharpness, brightness, contrast and saturation; without, their columns "
        "are empty",
    )
    min_sharpness: float | None = Field(
        5.0, ge=0, description="variance of the Laplacian at a width of 640"
    )
    min_brightness: float | None = Field(15.0, ge=0, le=255, description="mean grey level")
    max_brightness: float | None = Field(240.0, ge=0, le=255, description="mean grey level")
    min_contrast: float | None = Field(
        8.0, ge=0, le=255, description="standard deviation of the grey levels"
    )
    max_saturated_fraction: float | None = Field(
        0.5, ge=0, le=1, description="share of pixels that are black or white"
    )
    min_confidence: float | None = Field(
        None, ge=0, le=1, description="mean confidence of the labels"
    )
    max_entropy: float | None = Field(None, ge=0, description="mean entropy of the labels, in nats")
    max_changed_fraction: float | None = Field(
        None, ge=0, le=1, description="share of pixels with another class than before"
    )
