"""Layers: what was seen in each cell of the map, with how much was driven there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from segpipe.analysis.cells import Cells, assign, shapes
from segpipe.analysis.exposure import Exposure, Settled, settle
from segpipe.analysis.queries import rows, run
from segpipe.core.text import counted

if TYPE_CHECKING:
    import duckdb
    import geopandas

INDICATORS = ("green_view", "sky_view", "built", "drivable", "pavement", "vehicles", "people")
"""Shares of the frame: vegetation and terrain, sky, buildings and fences, road, sidewalk, vehicles,
people and cyclists."""
PASS_GAP_S = 120.0


@dataclass(frozen=True)
class Layer:
    """A row per cell: cell, frames, metres, passes, the indicators, and the cell's shape as
    geometry (CRS84).

    `frames` are the usable frames in the cell, `metres` the way they stand for (null without a
    track), `passes` the separate visits. An indicator is a share from 0 to 1 of the valid pixels;
    null where the exposure is too small, and everywhere where the model has no class for it.
    `exposure` is what was asked of a cell; `notes` are sentences about what is missing.
    """

    frame: geopandas.GeoDataFrame
    cells: Cells
    exposure: Settled
    notes: tuple[str, ...] = ()


def aggregate(
    connection: duckdb.DuckDBPyConnection, by: str, exposure: Exposure | None = None
) -> Layer:
    """A layer of `by`, h3:RES or metres:N. Frames that aren't usable, or without a position (for
    metres: without a track), don't count. A layer without any cell is empty, not an error. Raises
    ConfigError for a wrong `by`."""
    import geopandas

    cells = Cells.parse(by)
    settled = settle(exposure or Exposure(), cells, [connection])
    measure(connection, cells, settled)
    found = rows(connection, "cells", min_frames=settled.min_frames, min_metres=settled.min_metres)
    names = found["cell"].to_pylist()
    geometry = geopandas.GeoSeries(shapes(connection, cells, names), crs="OGC:CRS84")
    frame = geopandas.GeoDataFrame(found.to_pandas(), geometry=geometry, crs="OGC:CRS84")
    return Layer(frame, cells, settled, tuple(_notes(connection, found, cells, settled)))


def measure(connection: duckdb.DuckDBPyConnection, cells: Cells, settled: Settled) -> None:
    """Make the tables `frame_cells` and `passes`: what each pass through each cell saw."""
    assign(connection, cells)
    run(connection, "indicators")
    run(connection, "passes", weight=settled.weight, pass_gap_s=PASS_GAP_S)


def not_measurable(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """The indicators that can't be had with the dataset's model, each with the common classes of
    which the model has none. Takes the table `indicators` (indicators.sql)."""
    found = connection.execute(
        "SELECT indicator, list(common_name) FROM indicators LEFT JOIN (SELECT DISTINCT "
        "common_name, true AS there FROM classes) "
        "USING (common_name) GROUP BY indicator HAVING count(there) = 0"
    ).fetchall()
    return dict(sorted(found, key=lambda pair: INDICATORS.index(pair[0])))


def say_not_measurable(
    connection: duckdb.DuckDBPyConnection, dataset: str = "this dataset"
) -> list[str]:
    """One line that says which indicators can't be had and why; none where all can."""
    missing = not_measurable(connection)
    if not missing:
        return []
    why = "; ".join(f"{name} (no class of {' or '.join(names)})" for name, names in missing.items())
    return [f"the model of {dataset} can't measure {why}: null, not 0"]


def _notes(
    connection: duckdb.DuckDBPyConnection, found: pa.Table, cells: Cells, settled: Settled
) -> list[str]:
    if not found.num_rows:
        need = "a position" if cells.kind == "h3" else "a track"
        return [f"no usable frame has {need}: there are no cells"]
    notes = say_not_measurable(connection)
    known = [n for n in INDICATORS if n not in not_measurable(connection)]
    empty = found[known[0]].null_count if known else 0
    if settled.weight == "metres" and found["metres"].null_count == found.num_rows:
        return [
            *notes,
            "no frame has a track, so no frame has a weight in metres; --weight frames counts "
            "all frames alike",
        ]
    if empty:
        remedy = "; choose larger cells or lower minimums" if empty == found.num_rows else ""
        notes.append(
            f"{empty} of {counted(found.num_rows, 'cell')} below {settled}: indicators are "
            f"null{remedy}"
        )
    return notes + weightless(connection, settled)


def weightless(
    connection: duckdb.DuckDBPyConnection, settled: Settled, dataset: str = ""
) -> list[str]:
    """A line about photographs without a track among other frames: by metres they have no
    weight."""
    if settled.weight != "metres":
        return []
    [(photos,)] = connection.execute(
        "SELECT count(*) FROM frame_cells JOIN frames AS f USING (frame_id) WHERE f.frame_index "
        "IS NULL AND f.odometer_m IS NULL"
    ).fetchall()
    text = (
        f"{counted(photos, 'photo')}{dataset} without a track, so without a weight in metres; "
        "--weight frames counts all frames alike"
    )
    return [text] if photos else []
