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
    figure = Figure(figsize=_size(shown, ground), layout="constrained")
    axes = figure.subplots()
    for piece in way:
        axes.plot(*ground(piece).T, color="0.35", linewidth=0.5, alpha=0.55, zorder=3)
    colours = _cells(axes, shown, column, ground)
    figure.colorbar(colours, ax=axes, shrink=0.7, aspect=28, pad=0.02, label=caption.colour, format=_percent(column), extend="both")
    axes.set_title(caption.title, fontsize=13, loc="left", pad=24)
    axes.text(0, 1.015, caption.below, transform=axes.transAxes, fontsize=9, color="0.35", va="bottom")
    _furnish(axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(aside(path), dpi=130, format="png")
    publish(path)


def _size(shown: geopandas.GeoDataFrame, ground: Ground) -> tuple[float, float]:
    """Inches: as wide as high as the ground asks, within what a screen holds."""
    corners = ground(np.concatenate([np.reshape(g.bounds, (2, 2)) for g in shown.geometry]))
    wide, high = np.maximum(np.ptp(corners, axis=0), 1.0)
    return 8.6, float(np.clip(6.8 * high / wide, 3.2, 9.0)) + 0.9


def _percent(column: str) -> Any:
    from matplotlib.ticker import FuncFormatter

    return FuncFormatter(lambda v, _: f"{100 * v:{'+' if column == 'change' else ''}.3g} %")


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
    colours = ScalarMappable(Normalize(*ends), COLOURS[column])
    marked = shown["significant"].fillna(False).to_numpy(bool) if "significant" in shown else np.zeros(len(shown), bool)
    for shape, value, full, mark in zip(shown.geometry, values, known, marked, strict=True):
        _cell(axes, shape, ground, colours.to_rgba(value) if full else None, bool(mark))
    return colours


def _cell(axes: Any, shape: Any, ground: Ground, colour: Any, mark: bool) -> None:
    edge, width, above = ("0.1", 1.3, 2.5) if mark else ("white", 0.4, 2.0) if colour is not None else ("0.75", 0.6, 1.5)
    for part in getattr(shape, "geoms", [shape]):
        if part.geom_type == "Polygon":
            corners = ground(np.asarray(part.exterior.coords))
            axes.fill(*corners.T, facecolor=colour or "none", edgecolor=edge, linewidth=width, zorder=above)
        elif part.geom_type == "LineString":
            axes.plot(*ground(np.asarray(part.coords)).T, color=colour or "0.75", linewidth=4, solid_capstyle="round", zorder=4)
        else:
            axes.plot(*ground(np.asarray(part.coords)).T, "o", color=colour or "0.75", markersize=4, zorder=4)


def _furnish(axes: Any) -> None:
    """Equal metres both ways, a scale bar and the north, instead of ticks."""
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.04, 0.09)
    axes.autoscale_view()
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_color("0.85")
    left, right = axes.get_xlim()
    length = 10 ** math.floor(math.log10((right - left) / 4))
    length *= max(n for n in (1, 2, 5) if n * length <= (right - left) / 4)
    name = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    share = length / (right - left)
    axes.plot([0.03, 0.03 + share], [0.03, 0.03], transform=axes.transAxes, color="0.15", linewidth=2.5, solid_capstyle="butt", zorder=6)
    box = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 1.0}
    axes.text(0.03 + share / 2, 0.042, name, transform=axes.transAxes, ha="center", va="bottom", fontsize=9, zorder=6, bbox=box)
    axes.annotate(
        "N", (0.97, 0.97), (0.97, 0.90), "axes fraction", ha="center", va="top", fontsize=10, zorder=6,
        arrowprops={"arrowstyle": "-|>", "color": "0.15"},
    )  # fmt: skip
