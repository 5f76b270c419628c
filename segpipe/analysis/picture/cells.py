"""The cells of a picture in the colours of their values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from segpipe.analysis.picture.ground import Ground

if TYPE_CHECKING:
    import geopandas

COLOURS = {
    "green_view": "YlGn",
    "sky_view": "PuBu",
    "built": "OrRd",
    "drivable": "bone_r",
    "pavement": "BuPu",
    "vehicles": "YlOrBr",
    "people": "RdPu",
    "change": "BrBG",
}


def draw_cells(axes: Any, shown: geopandas.GeoDataFrame, column: str, ground: Ground) -> Any:
    """Draw the cells; returns what a colour bar is made of. The ends of the scale are quantiles:
    one odd cell must not take the colour from all others."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    values = shown[column].to_numpy(float)
    known = np.isfinite(values)
    ends = np.quantile(values[known], [0.02, 0.98]) if known.any() else np.array([0.0, 1.0])
    if column == "change":
        ends = np.array([-1, 1]) * max(np.abs(ends).max(), 1e-4)
    elif np.ptp(ends) < 1e-4:
        ends = np.array([max(0.0, ends[0] - 0.005), ends[1] + 0.005])
    colours = ScalarMappable(Normalize(*ends), _map(column))
    marked = (
        shown["significant"].fillna(False).to_numpy(bool)
        if "significant" in shown
        else np.zeros(len(shown), bool)
    )
    fill = np.where(known[:, None], colours.to_rgba(np.nan_to_num(values)), (1, 1, 1, 0))
    for chosen, edge, width, above in (
        (~known, "0.65", 0.7, 1.0),
        (known & ~marked, "white", 0.4, 2.0),
        (marked, "0.1", 1.3, 3.0),
    ):
        _draw_shapes(axes, shown.geometry[chosen], fill[chosen], ground, (edge, width, above))
    return colours


def _map(column: str) -> Any:
    """The colours without their palest part, which can't be told from the paper."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    start = 0.0 if column == "change" else 0.12
    return ListedColormap(colormaps[COLOURS[column]](np.linspace(start, 1, 256)))


def _draw_shapes(
    axes: Any, shapes: geopandas.GeoSeries, fill: Any, ground: Ground, pen: tuple[str, float, float]
) -> None:
    """Draw shapes with fills [N, 4]; the pen is the colour and width of polygons' edges, and what
    lies above what."""
    from matplotlib.collections import LineCollection, PolyCollection

    edge, width, above = pen
    parts = [
        (p, f)
        for shape, f in zip(shapes, fill, strict=True)
        for p in getattr(shape, "geoms", [shape])
    ]
    hexagons = [
        (ground(np.asarray(p.exterior.coords)), f) for p, f in parts if p.geom_type == "Polygon"
    ]
    if hexagons:
        corners, colours = zip(*hexagons, strict=True)
        axes.add_collection(
            PolyCollection(
                corners, facecolors=colours, edgecolors=edge, linewidths=width, zorder=above
            )
        )
    shades = [
        (ground(np.asarray(p.coords)), f if f[3] else (0.65, 0.65, 0.65, 1))
        for p, f in parts
        if p.geom_type != "Polygon"
    ]
    if shades:
        # A point is a line of no length, which round ends make a dot.
        corners, colours = zip(
            *((np.repeat(c, 2, axis=0) if len(c) == 1 else c, s) for c, s in shades), strict=True
        )
        axes.add_collection(
            LineCollection(
                corners, colors=colours, linewidths=4, capstyle="round", zorder=above + 3
            )
        )
