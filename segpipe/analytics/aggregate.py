"""Layers: what was seen in each cell of the map, with how much was driven there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from segpipe.analytics.cells import Cells, assign, shapes
from segpipe.analytics.queries import rows, run
from segpipe.errors import ConfigError

if TYPE_CHECKING:
    import duckdb
    import geopandas

INDICATORS = ("green_view", "sky_view", "built", "drivable", "pavement", "vehicles", "people")
"""Shares of the frame: vegetation and terrain, sky, buildings and fences, road, sidewalk, vehicles, people and cyclists."""
PASS_GAP_S = 120.0
MIN_FRAMES, MIN_METRES = 3, 10.0
Weight = Literal["metres", "frames"]


@dataclass(frozen=True)
class Exposure:
    """What a frame counts (by the `metres` it stands for, or all the same), and what a cell needs for its indicators to be
    told: `min_frames`, and `min_metres`, which isn't asked where frames are the weight."""

    weight: Weight = "metres"
    min_frames: int = MIN_FRAMES
    min_metres: float = MIN_METRES

    def __post_init__(self) -> None:
        if self.weight not in {"metres", "frames"}:
            raise ConfigError(f"weight {self.weight!r}: frames are weighted by 'metres', or all the same with 'frames'")
        if not (self.min_frames >= 0 and self.min_metres >= 0):
            raise ConfigError(f"min_frames {self.min_frames}, min_metres {self.min_metres:g}: must be 0 or more")

    @property
    def metres_asked(self) -> float:
        return self.min_metres if self.weight == "metres" else 0.0


@dataclass(frozen=True)
class Layer:
    """A row per cell: cell, frames, metres, passes, the indicators, and the cell's shape as geometry (CRS84).

    `frames` are the usable frames in the cell, `metres` the way they stand for (null without a track), `passes` the separate
    visits. An indicator is a share from 0 to 1 of the valid pixels; null where the exposure is too small. `notes` are
    sentences about what is missing.
    """

    frame: geopandas.GeoDataFrame
    cells: Cells
    exposure: Exposure
    notes: tuple[str, ...] = ()


def aggregate(connection: duckdb.DuckDBPyConnection, by: str, exposure: Exposure | None = None) -> Layer:
    """A layer of `by`, h3:RES or metres:N. Frames that aren't usable, or without a position (for metres: without a track),
    don't count. A layer without any cell is empty, not an error. Raises ConfigError for a wrong `by`."""
    import geopandas

    cells, exposure = Cells.parse(by), exposure or Exposure()
    measure(connection, cells, exposure.weight)
    found = rows(connection, "cells", min_frames=exposure.min_frames, min_metres=exposure.metres_asked)
    names = found["cell"].to_pylist()
    geometry = geopandas.GeoSeries(shapes(connection, cells, names), crs="OGC:CRS84")
    frame = geopandas.GeoDataFrame(found.to_pandas(), geometry=geometry, crs="OGC:CRS84")
    return Layer(frame, cells, exposure, tuple(_notes(found, cells, exposure)))


def measure(connection: duckdb.DuckDBPyConnection, cells: Cells, weight: Weight) -> None:
    """Make the tables `frame_cells` and `passes`: what each pass through each cell saw."""
    assign(connection, cells)
    run(connection, "indicators")
    run(connection, "passes", weight=weight, pass_gap_s=PASS_GAP_S)


def _notes(found: pa.Table, cells: Cells, exposure: Exposure) -> list[str]:
    if not found.num_rows:
        need = "a position" if cells.kind == "h3" else "a track"
        return [f"no usable frame has {need}: there are no cells"]
    empty = found["green_view"].null_count
    if empty == found.num_rows and found["metres"].null_count == found.num_rows and exposure.weight == "metres":
        return ["no frame has a track, so nothing has a weight: take weight 'frames' for photographs"]
    if empty:
        asked = f"{exposure.min_frames} frames" + (f" and {exposure.metres_asked:g} m" if exposure.metres_asked else "")
        return [f"{empty} of {found.num_rows} cells have no indicators: fewer than {asked}"]
    return []
