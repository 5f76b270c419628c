"""What stands around the cells: the way, the colour bar, the caption, the scale bar, the north."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from segpipe.analysis.picture.ground import Ground

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Caption:
    """What stands in and around the picture: title, a line below it, what the colour means."""

    title: str
    below: str
    colour: str


def draw_way(axes: Any, way: list[Any], ground: Ground) -> None:
    """Draw the camera's way, pieces [N, 2] (longitude, latitude), as a thin line."""
    for piece in way:
        # To be seen on dark cells, too.
        axes.plot(*ground(piece).T, color="white", linewidth=1.8, alpha=0.7, zorder=4)
        axes.plot(*ground(piece).T, color="0.25", linewidth=0.7, zorder=4.1)


def add_colour_bar(figure: Figure, axes: Any, colours: Any, column: str, label: str) -> None:
    """Put the scale of a column's colours beside the cells."""
    figure.colorbar(
        colours,
        ax=axes,
        shrink=0.7,
        aspect=28,
        pad=0.02,
        label=label,
        format=_percent(column),
        extend="both",
    )


def _percent(column: str) -> Any:
    from matplotlib.ticker import FuncFormatter

    if column == "change":
        return FuncFormatter(lambda v, _: f"{100 * v:+.3g}" if abs(v) > 1e-9 else "0")
    return FuncFormatter(lambda v, _: f"{100 * v:.3g} %")


def add_caption(axes: Any, title: str, below: str) -> None:
    """Write the title and the line below it."""
    axes.set_title(title, fontsize=13, loc="left", pad=24)
    axes.annotate(
        below,
        (0, 1),
        (0, 6),
        "axes fraction",
        "offset points",
        fontsize=9,
        color="0.35",
        va="bottom",
    )


def furnish(axes: Any, left: float, bottom: float, wide: float, high: float) -> None:
    """Equal metres both ways, a scale bar and the north, instead of ticks."""
    axes.set_aspect("equal", adjustable="box")
    axes.set(
        xticks=[],
        yticks=[],
        facecolor="0.965",
        xlim=(left, left + wide),
        ylim=(bottom, bottom + high),
    )
    axes.spines[:].set_color("0.85")
    length = 10.0 ** math.floor(math.log10(wide / 4))
    length *= max(n for n in (1, 2, 5) if n * length <= wide / 4)
    name = f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
    x, y = left + 0.03 * wide, bottom + 0.025 * wide
    axes.plot([x, x + length], [y, y], color="0.15", linewidth=2.5, solid_capstyle="butt", zorder=9)
    axes.text(
        x + length / 2, y + 0.008 * wide, name, ha="center", va="bottom", fontsize=9, zorder=9
    )
    axes.annotate(
        "N",
        (left + 0.97 * wide, bottom + 0.095 * wide),
        (left + 0.97 * wide, bottom + 0.02 * wide),
        ha="center",
        va="bottom",
        fontsize=10,
        zorder=9,
        arrowprops={"arrowstyle": "-|>", "color": "0.15"},
    )
