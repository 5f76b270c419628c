"""Where cells lie in a picture: metres east and north of its middle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import geopandas

METRES_PER_DEGREE = 111_195.0


@dataclass(frozen=True)
class Ground:
    """Degrees to metres east and north of a place; right for areas that a car covers in a day."""

    longitude: float
    latitude: float

    def __call__(self, places: Any) -> Any:
        """Positions [N, 2] (longitude, latitude) as metres [N, 2]; the antimeridian is no edge."""
        east = (places[:, 0] - self.longitude + 180) % 360 - 180
        scale = METRES_PER_DEGREE * math.cos(math.radians(self.latitude))
        return np.stack([east * scale, (places[:, 1] - self.latitude) * METRES_PER_DEGREE], axis=1)


def ground_of(shown: geopandas.GeoDataFrame) -> Ground:
    """The ground around the middle of what is shown."""
    west, south, east, north = shown.total_bounds
    far = east - west > 180  # across the antimeridian: any of its cells will do as the middle
    corner = shown.geometry.iloc[0].representative_point()
    return Ground(corner.x if far else (west + east) / 2, (south + north) / 2)


def extent_of(shown: geopandas.GeoDataFrame, ground: Ground) -> tuple[float, float, float, float]:
    """Left, bottom, width and height in metres: the cells, a margin, and below them room for the
    scale bar."""
    corners = ground(np.concatenate([np.reshape(g.bounds, (2, 2)) for g in shown.geometry]))
    low, high = corners.min(0), corners.max(0)
    edge = 0.035 * max(*(high - low), 20.0)
    width, height = high - low + [2 * edge, 4.5 * edge]
    # A street due north or east still makes a picture.
    wide, tall = max(width, 0.5 * height), max(height, 0.4 * width)
    return low[0] - edge - (wide - width) / 2, low[1] - 3.5 * edge - (tall - height) / 2, wide, tall
