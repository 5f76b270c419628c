"""The sections of a job about time and place."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from segpipe.core.config.strict import Strict

ClockName = Literal["start", "gps", "exif", "creationdate", "container", "filename", "mtime"]
TrackName = Literal["files", "sidecar", "embedded", "exif"]
FILENAME_PATTERN = (
    r"(?<!\d)(?P<year>20\d\d)[-_]?(?P<month>\d\d)[-_]?(?P<day>\d\d)(?:[-_ Tt]|,? at )?"
    r"(?P<hour>\d\d|\d(?=[-_.:h]\d\d[-_.:m]\d\d[\s_.-]*[AaPp]\.?[Mm]))"
    r"[-_.:h]?(?P<minute>\d\d)[-_.:m]?(?P<second>\d\d)(?P<fraction>\d{3})?(?!\d)"
)
"""20260501_100000, 2026-05-01 10-00-00, 2026_0501_100000, 2026-05-01 at 2.30.22 PM and the like:
what most dashcams, telephones and screen recorders write."""


def _zone(name: str | None) -> str | None:
    if name is not None:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(
                "no time zone of the IANA database, such as Europe/London or UTC"
            ) from None
    return name


class TimeSettings(Strict):
    """Where the UTC time of a source comes from: the first clock of `order` that it has."""

    order: tuple[ClockName, ...] = Field(
        ("start", "gps", "exif", "creationdate", "container", "filename", "mtime"),
        min_length=1,
        description="clocks, the most trusted first",
    )
    start: datetime | None = Field(None, description="when the one video of this job begins")
    offset_s: float = Field(
        0.0,
        allow_inf_nan=False,
        description="added to the clock that was chosen, GPS and start excepted",
    )
    timezone: str | None = Field(
        None,
        description="IANA time zone for clocks that don't state one; without it they aren't used",
    )
    creation_time_is: Literal["start", "end"] = Field(
        "start", description="what the container's creation_time stands for"
    )
    creation_time_timezone: str | None = Field(
        None, description="zone of a creation_time that is local time marked as UTC (GoPro's)"
    )
    filename_pattern: str = Field(
        FILENAME_PATTERN, description="regular expression with the groups year, month, day, hour …"
    )
    mtime_is: Literal["start", "end"] = Field(
        "end", description="what a file's modification time stands for"
    )
    drive_gap_s: float = Field(
        60.0, ge=0, allow_inf_nan=False, description="clips further apart than this are two drives"
    )

    _zones = field_validator("timezone", "creation_time_timezone")(_zone)

    @field_validator("filename_pattern")
    @classmethod
    def _groups(cls, value: str) -> str:
        try:
            missing = {"year", "month", "day", "hour", "minute", "second"} - set(
                re.compile(value).groupindex
            )
        except re.error as error:
            raise ValueError(f"no regular expression ({error})") from None
        if missing:
            raise ValueError(
                f"has no group {', '.join(sorted(missing))}; write (?P<year>…) and so on; "
                "fraction is optional"
            )
        return value

    @model_validator(mode="after")
    def _aware(self) -> TimeSettings:
        if self.start is not None and self.start.tzinfo is None and self.timezone is None:
            raise ValueError("start has no time zone: write 2026-05-01T10:00:00Z, or give timezone")
        if self.start is not None and "start" not in self.order:
            raise ValueError(
                "a start is given, but the order of clocks doesn't have it: add start to order"
            )
        return self


class TrackSettings(Strict):
    """Where positions come from: the first track of `order` that fits the footage."""

    order: tuple[TrackName, ...] = Field(
        ("files", "sidecar", "embedded", "exif"),
        description="kinds of track, the most trusted first",
    )
    files: tuple[str, ...] = Field((), description="GPX, NMEA or CSV files")
    columns: dict[str, str] = Field(
        {},
        description="a CSV's column names: time, latitude, longitude, altitude_m, speed_mps "
        "(or _kmh, _kn, _mph), heading_deg, accuracy_m",
    )
    offset_s: float = Field(
        0.0, allow_inf_nan=False, description="added to the times of track files"
    )
    max_gap_s: float = Field(
        10.0,
        gt=0,
        allow_inf_nan=False,
        description="no position between fixes further apart than this",
    )
    max_speed_mps: float = Field(
        90.0, gt=0, allow_inf_nan=False, description="fixes that imply a higher speed are dropped"
    )
