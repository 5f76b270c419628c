"""GeoParquet 1.1: the metadata that makes `frames` a layer of points for GeoPandas, QGIS, DuckDB
and others."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

KEY = "geo"
BBOX = "bbox"
"""The covering column: readers skip row groups by the statistics of its four numbers."""
_SIDES = ("xmin", "ymin", "xmax", "ymax")


@lru_cache(maxsize=1)
def crs() -> dict[str, Any]:
    """OGC:CRS84 (WGS 84, longitude first) as PROJJSON."""
    from pyproj import CRS

    found: dict[str, Any] = CRS.from_user_input("OGC:CRS84").to_json_dict()
    return found


@dataclass
class Bounds:
    """The bounding box of the points that were seen, in degrees."""

    corners: list[float] = field(default_factory=list)

    def add(self, frames: pa.Table) -> None:
        """See the rows of a `frames` table."""
        for name, at in (("longitude", 0), ("latitude", 1)):
            ends = pc.min_max(frames[name]).as_py()
            if ends["min"] is None:
                return
            if not self.corners:
                self.corners = [180.0, 90.0, -180.0, -90.0]
            self.corners[at] = min(self.corners[at], ends["min"])
            self.corners[at + 2] = max(self.corners[at + 2], ends["max"])


def box_of_point(longitude: float, latitude: float) -> dict[str, float]:
    """The value of the column `bbox` for a point: a box without extent."""
    return dict(zip(_SIDES, (longitude, latitude, longitude, latitude), strict=True))


def geo_metadata(bounds: Bounds) -> str:
    """The value of the key `geo` (https://geoparquet.org/releases/v1.1.0/). Without bounds it is
    the same for every file, so that it holds for several files read as one table."""
    covering = {BBOX: {side: [BBOX, side] for side in _SIDES}}
    column: dict[str, Any] = {
        "encoding": "WKB",
        "geometry_types": ["Point"],
        "crs": crs(),
        "covering": covering,
    }
    if bounds.corners:
        column["bbox"] = bounds.corners
    return json.dumps(
        {"version": "1.1.0", "primary_column": "geometry", "columns": {"geometry": column}}
    )
