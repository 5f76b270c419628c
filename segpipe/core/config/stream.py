"""The section of a job for live streams."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field, field_validator

from segpipe.core.config.strict import Strict
from segpipe.core.units import seconds_of, utc_of

MOST_S = 10 * 366 * 86_400


class StreamSettings(Strict):
    """Live streams: when to stop, how to keep up, how to come back."""

    duration: str | None = Field(
        None,
        description="how long to record, such as 90s, 30m, 8h or 1h30m; null: until stopped",
    )
    until: str | None = Field(None, description="when to stop, such as 2026-05-01T18:00:00Z")
    transport: Literal["tcp", "udp"] = Field("tcp", description="transport of RTSP")
    clock: Literal["arrival", "media"] = Field(
        "arrival",
        description="media: frames keep the pace of a recording that is played as a stream",
    )
    on_lag: Literal["drop", "block"] = Field(
        "drop", description="if the model can't keep up: drop frames and count them, or wait"
    )
    shard_s: float = Field(
        60.0,
        gt=0,
        le=86_400,
        description="seconds of stream in one shard, and the oldest that waits for commit",
    )
    timeout_s: float = Field(
        10.0, gt=0, le=3600, description="reconnect after so many seconds without a picture"
    )
    backoff_s: float = Field(
        1.0,
        gt=0,
        le=3600,
        description="the first wait before connecting again; it doubles, with jitter",
    )
    max_backoff_s: float = Field(
        60.0, gt=0, le=86_400, description="the longest wait before connecting again"
    )
    give_up_s: float | None = Field(
        None, gt=0, description="end with an error after so long without a frame; null: never"
    )

    follow: bool = Field(
        False,
        description="follow a server to other hosts, by redirects and by segments of a playlist, "
        "also to those of a private network; false: only the host of the address is reached",
    )

    @field_validator("duration", "until", mode="before")
    @classmethod
    def _as_text(cls, value: object) -> object:
        """YAML makes numbers of durations and datetimes of moments."""
        if isinstance(value, datetime):
            return value.isoformat() if value.tzinfo is not None else value.isoformat(" ")
        return (
            str(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else value
        )

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
