"""The sections of a job about time, place, and which part of the picture counts."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, Field, field_validator, model_validator

from segpipe.sections import Strict

ClockName = Literal["start", "gps", "exif", "container", "filename", "mtime"]
TrackName = Literal["files", "sidecar", "embedded", "exif"]
RegionName = Literal["left", "right", "near", "middle", "far", "path"]
MOST_POLYGONS = 50
Point = tuple[float, float]


def _polygon(value: tuple[Point, ...]) -> tuple[Point, ...]:
    """Checked as a whole, so that the message is about the polygon and not about each number."""
    outside = [p for p in value if not (0 <= p[0] <= 1 and 0 <= p[1] <= 1)]
    if outside:
        raise ValueError(f"the corner {list(outside[0])} lies outside the frame: x and y are shares from 0 (left, top) to 1")
    twice_area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(value, value[1:] + value[:1], strict=True))
    if len(value) < 3 or abs(twice_area) < 1e-9:
        raise ValueError("a polygon needs three corners or more that enclose an area")
    return value


Polygon = Annotated[tuple[Point, ...], AfterValidator(_polygon)]
"""Corners (x, y) in shares of the width and height, from the top left; where its lines cross, the even-odd rule holds."""

FILENAME_PATTERN = (
    r"(?<!\d)(?P<year>20\d\d)[-_]?(?P<month>\d\d)[-_]?(?P<day>\d\d)[-_ T]?"
    r"(?P<hour>\d\d)[-_.:h]?(?P<minute>\d\d)[-_.:m]?(?P<second>\d\d)(?P<fraction>\d{3})?(?!\d)"
)
"""20260501_100000, 2026-05-01 10-00-00, 2026_0501_100000 and the like: what most dashcams and telephones write."""


def _zone(name: str | None) -> str | None:
    if name is not None:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError("no time zone of the IANA database, such as Europe/London or UTC") from None
    return name


class TimeSettings(Strict):
    """Where the UTC time of a source comes from: the first clock of `order` that it has."""

    order: tuple[ClockName, ...] = Field(
        ("start", "gps", "exif", "container", "filename", "mtime"), min_length=1, description="clocks, the most trusted first"
    )
    start: datetime | None = Field(None, description="when the one video of this job begins")
    offset_s: float = Field(0.0, allow_inf_nan=False, description="added to the clock that was chosen, GPS and start excepted")
    timezone: str | None = Field(None, description="IANA zone of clocks that don't say theirs; without it they aren't used")
    creation_time_is: Literal["start", "end"] = Field("start", description="what the container's creation_time stands for")
    creation_time_timezone: str | None = Field(
        None, description="zone of a creation_time that is local time marked as UTC (GoPro's)"
    )
    filename_pattern: str = Field(FILENAME_PATTERN, description="regular expression with the groups year, month, day, hour …")
    mtime_is: Literal["start", "end"] = Field("end", description="what a file's modification time stands for")
    drive_gap_s: float = Field(60.0, ge=0, allow_inf_nan=False, description="clips further apart than this are two drives")

    _zones = field_validator("timezone", "creation_time_timezone")(_zone)

    @field_validator("filename_pattern")
    @classmethod
    def _groups(cls, value: str) -> str:
        try:
            missing = {"year", "month", "day", "hour", "minute", "second"} - set(re.compile(value).groupindex)
        except re.error as error:
            raise ValueError(f"no regular expression ({error})") from None
        if missing:
            raise ValueError(f"has no group {', '.join(sorted(missing))}; write (?P<year>…) and so on (and fraction at will)")
        return value

    @model_validator(mode="after")
    def _aware(self) -> TimeSettings:
        if self.start is not None and self.start.tzinfo is None and self.timezone is None:
            raise ValueError("start has no time zone: write 2026-05-01T10:00:00Z, or give timezone")
        if self.start is not None and "start" not in self.order:
            raise ValueError("a start is given, but the order of clocks doesn't have it: add start to order")
        return self


class TrackSettings(Strict):
    """Where positions come from: the first track of `order` that fits the footage."""

    order: tuple[TrackName, ...] = Field(
        ("files", "sidecar", "embedded", "exif"), description="kinds of track, the most trusted first"
    )
    files: tuple[str, ...] = Field((), description="GPX, NMEA or CSV files")
    columns: dict[str, str] = Field(
        {}, description="a CSV's column names: time, latitude, longitude, altitude_m, speed_mps, heading_deg, accuracy_m"
    )
    offset_s: float = Field(0.0, allow_inf_nan=False, description="added to the times of track files")
    max_gap_s: float = Field(10.0, gt=0, allow_inf_nan=False, description="no position between fixes further apart than this")
    max_speed_mps: float = Field(90.0, gt=0, allow_inf_nan=False, description="fixes that imply a higher speed are dropped")


class RegionSettings(Strict):
    """Parts of the frame that get statistics of their own, besides the whole frame."""

    builtin: tuple[RegionName, ...] = Field(
        ("left", "right", "near", "middle", "far", "path"), description="which of the built-in ones"
    )
    horizon: float = Field(0.5, ge=0, le=0.95, description="height of the horizon from the top, for near, middle, far and path")
    path_width: float = Field(
        2.2, gt=0, le=100, description="width of the path corridor ahead, in heights of the camera over the road"
    )
    polygons: dict[str, tuple[Polygon, ...]] = Field({}, description="one's own: a name, and polygons of [x, y] from 0 to 1")

    @field_validator("polygons")
    @classmethod
    def _names(cls, value: dict[str, tuple[Polygon, ...]]) -> dict[str, tuple[Polygon, ...]]:
        if len(value) > MOST_POLYGONS:
            raise ValueError(f"{len(value)} regions; at most {MOST_POLYGONS} are possible")
        wrong = [n for n in value if n == "frame" or not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", n)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} can't be a region's name: letters, digits, - and _, and not 'frame'")
        return value
