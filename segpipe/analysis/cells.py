"""Which cell of the map each frame lies in, and the cells' shapes: H3 hexagons, or pieces of the
way."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import pyarrow as pa

from segpipe.analysis.queries import rows, run
from segpipe.core.errors import ConfigError

if TYPE_CHECKING:
    import duckdb
    import shapely

FINEST_H3 = 15


@dataclass(frozen=True)
class Cells:
    """How the map is cut: `h3` hexagons of a resolution (0 to 15), or pieces of the way of so many
    `metres`."""

    kind: Literal["h3", "metres"]
    size: float

    @classmethod
    def parse(cls, text: str) -> Cells:
        """From h3:RES or metres:N. Raises ConfigError."""
        kind, _, size = text.partition(":")
        try:
            value = float(size)
            if kind == "h3" and value in range(FINEST_H3 + 1):
                return cls("h3", int(value))
            if kind == "metres" and 0 < value < math.inf:
                return cls("metres", value)
        except ValueError:
            pass
        raise ConfigError(
            f"cells {text!r}: give h3:N with a whole N from 0 to {FINEST_H3} (10 is a hexagon "
            "130 m across), or metres:N with N "
            "over 0 (pieces of the way)"
        )

    @property
    def across_m(self) -> float:
        """How long a straight way through a cell is at most: a piece's length, an average hexagon's
        diameter."""
        if self.kind == "metres":
            return self.size
        import h3

        return 2 * float(h3.average_hexagon_edge_length(int(self.size), unit="m"))

    def __str__(self) -> str:
        return f"{self.kind}:{self.size:g}"


def assign(connection: duckdb.DuckDBPyConnection, cells: Cells) -> None:
    """Make the table `frame_cells` (frame_id, cell): frames that aren't usable or have no place
    have no cell."""
    if cells.kind == "metres":
        run(connection, "bins", bin_m=cells.size)
        return
    import h3.api.basic_int as h3

    found = connection.sql(
        "SELECT frame_id, latitude, longitude FROM frames WHERE usable AND isfinite(latitude) "
        "AND isfinite(longitude)"
    ).to_arrow_table()
    places = zip(found["latitude"].to_pylist(), found["longitude"].to_pylist(), strict=True)
    numbers = [
        h3.latlng_to_cell(latitude, longitude, int(cells.size)) for latitude, longitude in places
    ]
    placed = pa.table({"frame_id": found["frame_id"], "number": pa.array(numbers, pa.uint64())})
    connection.register("placed", placed)
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE frame_cells AS SELECT frame_id, lower(hex(number)) AS cell "
        "FROM placed"
    )
    connection.unregister("placed")


def shapes(
    connection: duckdb.DuckDBPyConnection, cells: Cells, names: Iterable[str]
) -> list[shapely.Geometry | None]:
    """The shape of each cell, in degrees: a hexagon, or the line (a point, where there is only one)
    through the positions of the piece's frames in the order of the way. None where no frame of the
    cell has a position."""
    if cells.kind == "h3":
        return [hexagon(n) for n in names]
    found = rows(connection, "lines").to_pylist()
    lines = {row["cell"]: line(np.array([row["x"], row["y"]]).T) for row in found}
    return [lines.get(n) for n in names]


def hexagon(name: str) -> shapely.Geometry:
    """The outline of an H3 cell. One that crosses the antimeridian is cut there into two parts, as
    GeoJSON asks (RFC 7946, 3.1.9). Cells around a pole, which a car hardly reaches, come out
    distorted."""
    import h3
    import shapely

    corners = np.array(h3.cell_to_boundary(name))[:, ::-1]
    if np.ptp(corners[:, 0]) <= 180:
        return shapely.Polygon(corners)
    corners[corners[:, 0] < 0, 0] += 360
    whole = shapely.Polygon(corners)
    east = shapely.intersection(whole, shapely.box(0, -90, 180, 90))
    west = shapely.transform(
        shapely.intersection(whole, shapely.box(180, -90, 360, 90)), lambda xy: xy - [360.0, 0.0]
    )
    return shapely.orient_polygons(shapely.MultiPolygon([east, west]))


def line(places: Any) -> shapely.Geometry:
    """The line through positions [N, 2] (longitude, latitude): a Point where they are all the same.
    Where the line crosses the antimeridian it is broken, the step across left out."""
    import shapely

    new = np.concatenate(([True], np.any(np.diff(places, axis=0) != 0, axis=1)))
    parts = np.split(places[new], np.flatnonzero(np.abs(np.diff(places[new][:, 0])) > 180) + 1)
    lines = [shapely.LineString(p) for p in parts if len(p) > 1]
    if not lines:
        return shapely.Point(places[0])
    return lines[0] if len(lines) == 1 else shapely.MultiLineString(lines)
