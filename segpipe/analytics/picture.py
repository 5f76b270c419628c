"""A layer as a picture: cells in colour on the ground, north up, in metres."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segpipe.analytics.queries import rows
from segpipe.errors import ConfigError, DatasetError
from segpipe.store.files import aside, publish

if TYPE_CHECKING:
    import duckdb
    import geopandas

METRES_PER_DEGREE = 111_195.0
COLOURS = {
    "green_view": "YlGn", "sky_view": "PuBu", "built": "OrRd", "drivable": "bone_r", "pavement": "BuPu", "vehicles": "YlOrBr",
    "people": "RdPu", "change": "BrBG",
}  # fmt: skip


@dataclass(frozen=True)
class Caption:
    """What stands in and around the picture: title, a line below it, what the colour means."""

    title: str
    below: str
    colour: str


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


def way_of(connection: duckdb.DuckDBPyConnection) -> list[Any]:
    """The camera's way as pieces [N, 2] (longitude, latitude) without holes."""
    found = rows(connection, "way")
    places = np.stack([found["longitude"].to_numpy(), found["latitude"].to_numpy()], axis=1)
    return np.split(places, np.flatnonzero(np.diff(found["piece"].to_numpy())) + 1) if len(places) else []


def draw(frame: geopandas.GeoDataFrame, column: str, path: Path, caption: Caption, way: list[Any]) -> None:
    """Draw rows with geometry (CRS84) into a PNG, coloured by `column`: `change` around 0 with its significant cells framed,
    all others from low to high. Cells whose value is null are outlined in grey, the way is a thin line.

    Raises ConfigError for a column that isn't there or a path that isn't .png, DatasetError where no cell has a shape.
    """
    from matplotlib.figure import Figure

    if column not in COLOURS or column not in frame:
        raise ConfigError(f"indicator {column!r}: there are {', '.join(c for c in COLOURS if c != 'change')}")
    if path.suffix.lower() != ".png":
        raise ConfigError(f"{path}: pictures are PNG; name a file that ends in .png")
    shown = frame[frame.geometry.notna()]
    if shown.empty:
        raise DatasetError(f"{path}: there is no cell to draw; positions come from a track (segpipe run, section track)")
    west, south, east, north = shown.total_bounds
    far = east - west > 180  # across the antimeridian: any of its cells will do as the middle
    corner = shown.geometry.iloc[0].representative_point()
    ground = Ground(corner.x if far else (west + east) / 2, (south + north) / 2)
    extent = _extent(shown, ground)
    size = min(7.0, 8.5 * extent[2] / extent[3])
    figure = Figure(figsize=(size + 1.5, size * extent[3] / extent[2] + 0.9), layout="constrained")
    axes = figure.subplots()
    for piece in way:
        axes.plot(*ground(piece).T, color="white", linewidth=1.8, alpha=0.7, zorder=4)  # to be seen on dark cells, too
        axes.plot(*ground(piece).T, color="0.25", linewidth=0.7, zorder=4.1)
    colours = _cells(axes, shown, column, ground)
    figure.colorbar(colours, ax=axes, shrink=0.7, aspect=28, pad=0.02, label=caption.colour, format=_percent(column), extend="both")
    axes.set_title(caption.title, fontsize=13, loc="left", pad=24)
    axes.annotate(caption.below, (0, 1), (0, 6), "axes fraction", "offset points", fontsize=9, color="0.35", va="bottom")
    _furnish(axes, *extent)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(aside(path), dpi=130, format="png")
    publish(path)


def _extent(shown: geopandas.GeoDataFrame, ground: Ground) -> tuple[float, float, float, float]:
    """Left, bottom, width and height in metres: the cells, a margin, and below them room for the scale bar."""
    corners = ground(np.concatenate([np.reshape(g.bounds, (2, 2)) for g in shown.geometry]))
    low, high = corners.min(0), corners.max(0)
    edge = 0.035 * max(*(high - low), 20.0)
    width, height = high - low + [2 * edge, 4.5 * edge]
    # A street due north or east still makes a picture.
    wide, tall = max(width, 0.5 * height), max(height, 0.4 * width)
    return low[0] - edge - (wide - width) / 2, low[1] - 3.5 * edge - (tall - height) / 2, wide, tall


def _percent(column: str) -> Any:
    from matplotlib.ticker import FuncFormatter

    if column == "change":
        return FuncFormatter(lambda v, _: f"{100 * v:+.3g}" if abs(v) > 1e-9 else "0")
    return FuncFormatter(lambda v, _: f"{100 * v:.3g} %")


def _cells(axes: Any, shown: geopandas.GeoDataFrame, column: str, ground: Ground) -> Any:
    """Draw the cells; returns what a colour bar is made of. The ends of the scale are quantiles: one odd cell must not take
    the colour from all others."""
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
    marked = shown["significant"].fillna(False).to_numpy(bool) if "significant" in shown else np.zeros(len(shown), bool)
    fill = np.where(known[:, None], colours.to_rgba(np.nan_to_num(values)), (1, 1, 1, 0))
    for chosen, edge, width, above in ((~known, "0.65", 0.7, 1.0), (known & ~marked, "white", 0.4, 2.0), (marked, "0.1", 1.3, 3.0)):
        _draw(axes, shown.geometry[chosen], fill[chosen], ground, (edge, width, above))
    return colours


def _map(column: str) -> Any:
    """The colours without their palest part, which can't be told from the paper."""
    from matplotlib import colormaps
    from matplotlib.colors import ListedColormap

    start = 0.0 if column == "change" else 0.12
    return ListedColormap(colormaps[COLOURS[column]](np.linspace(start, 1, 256)))


def _draw(axes: Any, shapes: geopandas.GeoSeries, fill: Any, ground: Ground, pen: tuple[str, float, float]) -> None:
    """Draw shapes with fills [N, 4]; the pen is the colour and width of polygons' edges, and what lies above what."""
    from matplotlib.collections import LineCollection, PolyCollection

    edge, width, above = pen
    parts = [(p, f) for shape, f in zip(shapes, fill, strict=True) for p in getattr(shape, "geoms", [shape])]
    hexagons = [(ground(np.asarray(p.exterior.coords)), f) for p, f in parts if p.geom_type == "Polygon"]
    if hexagons:
        corners, colours = zip(*hexagons, strict=True)
        axes.add_collection(PolyCollection(corners, facecolors=colours, edgecolors=edge, linewidths=width, zorder=above))
    shades = [(ground(np.asarray(p.coords)), f if f[3] else (0.65, 0.65, 0.65, 1)) for p, f in parts if p.geom_type != "Polygon"]
    if shades:
        # A point is a line of no length, which round ends make a dot.
        corners, colours = zip(*((np.repeat(c, 2, axis=0) if len(c) == 1 else c, s) for c, s in shades), strict=True)
        axes.add_collection(LineCollection(corners, colors=colours, linewidths=4, capstyle="round", zorder=above + 3))


def _furnish(axes: Any, left: float, bottom: float, wide: float, high: float) -> None:
    """Equal metres both ways, a scale bar and the north, instead of ticks."""
    axes.set_aspect("equal", adjustable="box")
    axes.set(xticks=[], yticks=[], facecolor="0.965", xlim=(left, left + wide), ylim=(bottom, bottom + high))
    axes.spines[:].set_color("0.85")
    length = 10.0 ** math.floor(math.log10(wide / 4))
    length *= max(n for n in (1, 2, 5) if n * length <= wide / 4)
    name = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    x, y = left + 0.03 * wide, bottom + 0.025 * wide
    axes.plot([x, x + length], [y, y], color="0.15", linewidth=2.5, solid_capstyle="butt", zorder=9)
    axes.text(x + length / 2, y + 0.008 * wide, name, ha="center", va="bottom", fontsize=9, zorder=9)
    axes.annotate(
        "N", (left + 0.97 * wide, bottom + 0.095 * wide), (left + 0.97 * wide, bottom + 0.02 * wide), ha="center", va="bottom",
        fontsize=10, zorder=9, arrowprops={"arrowstyle": "-|>", "color": "0.15"},
    )  # fmt: skip
