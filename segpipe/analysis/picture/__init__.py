"""A layer as a picture: cells in colour on the ground, north up, in metres."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segpipe.analysis.picture.cells import COLOURS, draw_cells
from segpipe.analysis.picture.furniture import (
    Caption,
    add_caption,
    add_colour_bar,
    draw_way,
    furnish,
)
from segpipe.analysis.picture.ground import extent_of, ground_of
from segpipe.analysis.queries import rows
from segpipe.core.errors import ConfigError, DatasetError
from segpipe.runtime.files.atomic import atomic_write

if TYPE_CHECKING:
    import duckdb
    import geopandas
    from matplotlib.figure import Figure

__all__ = ["Caption", "draw", "way_of"]


def way_of(connection: duckdb.DuckDBPyConnection) -> list[Any]:
    """The camera's way as pieces [N, 2] (longitude, latitude) without holes."""
    found = rows(connection, "way")
    places = np.stack([found["longitude"].to_numpy(), found["latitude"].to_numpy()], axis=1)
    return (
        np.split(places, np.flatnonzero(np.diff(found["piece"].to_numpy())) + 1)
        if len(places)
        else []
    )


def draw(
    frame: geopandas.GeoDataFrame, column: str, path: Path, caption: Caption, way: list[Any]
) -> None:
    """Draw rows with geometry (CRS84) into a PNG, coloured by `column`: `change` around 0 with its
    significant cells framed, all others from low to high. Cells whose value is null are outlined in
    grey, the way is a thin line.

    Raises ConfigError for a column that isn't there or a path that isn't .png, DatasetError where
    no cell has a shape.
    """
    from matplotlib.figure import Figure

    _check(frame, column, path)
    shown = frame[frame.geometry.notna()]
    if shown.empty:
        raise DatasetError(
            f"{path}: there is no cell to draw; positions come from a track (segpipe run, "
            "section track)"
        )
    ground = ground_of(shown)
    extent = extent_of(shown, ground)
    size = min(7.0, 8.5 * extent[2] / extent[3])
    figure = Figure(figsize=(size + 1.5, size * extent[3] / extent[2] + 0.9), layout="constrained")
    axes = figure.subplots()
    draw_way(axes, way, ground)
    colours = draw_cells(axes, shown, column, ground)
    known = shown[column].notna().any()
    if known:
        add_colour_bar(figure, axes, colours, column, caption.colour)
    below = caption.below if known else f"no cell has a value; {caption.below}"
    add_caption(axes, caption.title, below)
    furnish(axes, *extent)
    _save(figure, path)


def _check(frame: geopandas.GeoDataFrame, column: str, path: Path) -> None:
    """Raise ConfigError for what can't be drawn, or not there."""
    if column not in COLOURS or column not in frame:
        raise ConfigError(
            f"indicator {column!r}: there are {', '.join(c for c in COLOURS if c != 'change')}"
        )
    if path.suffix.lower() != ".png":
        raise ConfigError(f"{path}: pictures are PNG; name a file that ends in .png")


def _save(figure: Figure, path: Path) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as file:
            figure.savefig(file, dpi=130, format="png")
    except OSError as error:
        raise DatasetError(
            f"{path}: can't be written ({error.strerror or error}); choose another place"
        ) from None
