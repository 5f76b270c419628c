"""The section of a job about which parts of the picture count, and get statistics of their own."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator

from segpipe.core.config.strict import Strict

RegionName = Literal["left", "right", "near", "middle", "far", "path"]
MOST_POLYGONS = 50
Point = tuple[float, float]


def _polygon(value: tuple[Point, ...]) -> tuple[Point, ...]:
    """Checked as a whole, so that the message is about the polygon and not about each number."""
    outside = [p for p in value if not (0 <= p[0] <= 1 and 0 <= p[1] <= 1)]
    if outside:
        raise ValueError(
            f"the corner {list(outside[0])} lies outside the frame: x and y are shares from 0 "
            "(left, top) to 1"
        )
    twice_area = sum(
        a[0] * b[1] - b[0] * a[1] for a, b in zip(value, value[1:] + value[:1], strict=True)
    )
    if len(value) < 3 or abs(twice_area) < 1e-9:
        raise ValueError("a polygon needs three corners or more that enclose an area")
    return value


Polygon = Annotated[tuple[Point, ...], AfterValidator(_polygon)]
"""Corners (x, y) in shares of the width and height, from the top left; where its lines cross, the
even-odd rule holds."""


class RegionSettings(Strict):
    """Parts of the frame that get statistics of their own, besides the whole frame."""

    builtin: tuple[RegionName, ...] = Field(
        ("left", "right", "near", "middle", "far", "path"), description="which of the built-in ones"
    )
    horizon: float = Field(
        0.5,
        ge=0,
        le=0.95,
        description="height of the horizon from the top, for near, middle, far and path",
    )
    path_width: float = Field(
        2.2,
        gt=0,
        le=100,
        description="width of the path corridor ahead, in heights of the camera over the road",
    )
    polygons: dict[str, tuple[Polygon, ...]] = Field(
        {}, description="your own regions: a name, and polygons of [x, y] from 0 to 1"
    )

    @field_validator("polygons")
    @classmethod
    def _names(cls, value: dict[str, tuple[Polygon, ...]]) -> dict[str, tuple[Polygon, ...]]:
        if len(value) > MOST_POLYGONS:
            raise ValueError(f"{len(value)} regions; at most {MOST_POLYGONS} are possible")
        wrong = [n for n in value if n == "frame" or not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", n)]
        if wrong:
            raise ValueError(
                f"{wrong[0]!r} can't be a region's name: letters, digits, - and _, and not 'frame'"
            )
        return value
