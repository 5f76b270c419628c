"""Curves of a training run as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segpipe.runtime.files.atomic import publish, temp_path

Row = dict[str, float]


def draw_curves(rows: Sequence[Row], path: Path) -> None:
    """Draw loss and rate, mean IoU and accuracy, and each class's IoU over the epochs into a
    PNG."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=(15, 4.6), layout="constrained")
    loss, score, classes = figure.subplots(1, 3)
    _line(loss, rows, "train/loss", "loss in training")
    loss.set(title="Loss", xlabel="epoch", ylim=(0, None))
    rate = loss.twinx()
    _line(rate, rows, "rate", "learning rate", color="0.7", linestyle="--")
    rate.set(ylim=(0, None), ylabel="learning rate")
    _line(score, rows, "val/miou", "mean IoU", marker=".")
    _line(score, rows, "val/accuracy", "pixel accuracy", marker=".")
    score.set(title="Validation", xlabel="epoch", ylim=(0, 1))
    names = list(dict.fromkeys(k for row in rows for k in row if k.startswith("val/iou/")))
    ends: list[tuple[float, str, str]] = []
    for i, name in enumerate(names):
        found = _line(
            classes,
            rows,
            name,
            "",
            color=f"C{i % 10}",
            linestyle="-" if i < 10 else "--",
            marker=".",
        )
        ends.append((found, name.removeprefix("val/iou/"), f"C{i % 10}"))
    _name_ends(classes, ends, len(rows))
    classes.set(title="IoU of each class (validation)", xlabel="epoch", ylim=(0, 1))
    for axes in (loss, score):
        axes.legend(loc="lower left" if axes is loss else "lower right", frameon=False)
    for axes in (loss, score, classes):
        axes.grid(alpha=0.3)
        axes.set_xlim(0, max(2, rows[-1]["epoch"] if rows else 0))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(temp_path(path), dpi=100, format="png")
    publish(path)


def _line(axes, rows: Sequence[Row], key: str, label: str, **style) -> float:  # type: ignore[no-untyped-def]
    points = [(r["epoch"], r[key]) for r in rows if key in r]
    if points:
        axes.plot([p[0] for p in points], [p[1] for p in points], label=label, **style)
    return points[-1][1] if points else 0.0


def _name_ends(axes, ends: list[tuple[float, str, str]], epochs: int) -> None:  # type: ignore[no-untyped-def]
    """Write each class's name behind its line, names that would overlap pushed apart."""
    if len(ends) > 25:  # 150 names fit no picture
        return
    highest, step = 1.05, 0.05
    for value, name, colour in sorted(ends, reverse=True):
        y = highest = min(value, highest - step)
        axes.annotate(
            f" {name} {value * 100:.0f}",
            (1.0, y),
            xycoords=("axes fraction", "data"),
            color=colour,
            fontsize=8,
            va="center",
            annotation_clip=False,
        )
