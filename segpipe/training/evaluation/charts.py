"""An evaluation as charts: the confusion matrix, and how far confidence can be trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segpipe.runtime.files.atomic import publish, temp_path
from segpipe.training.evaluation.evaluate import Evaluation
from segpipe.training.evaluation.metrics import BINS


def draw_confusion(found: Evaluation, path: Path) -> None:
    """The confusion matrix as shares of each true class, and the calibration beside it, into a
    PNG."""
    from matplotlib.figure import Figure

    names, counts = found.mapping.names, found.tally.confusion
    extra = counts[:, -1].any()
    shown = counts if extra else counts[:, :-1]
    share = shown / np.maximum(1, counts.sum(1, keepdims=True))
    ends = (*names, "none of them") if extra else names
    size = max(4.5, 0.52 * len(ends) + 2)
    figure = Figure(figsize=(size + 5.2, size), layout="constrained")
    axes, lines = figure.subplots(1, 2, width_ratios=[size, 4.6])
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set(xticks=range(len(ends)), yticks=range(len(names)), xlabel="found", ylabel="true")
    axes.set_xticklabels(ends, rotation=45, ha="right")
    axes.set_yticklabels(names)
    axes.set_title(
        f"Share of each true class's pixels, in %\nmean IoU {found.tally.mean_iou * 100:.2f} %",
        fontsize=11,
    )
    if len(ends) <= 30:
        _write_shares(axes, share)
    _draw_calibration(lines, found)
    figure.savefig(temp_path(path), dpi=100, format="png")
    publish(path)


def _write_shares(axes, share) -> None:  # type: ignore[no-untyped-def]
    for y, row in enumerate(share):
        for x, value in enumerate(row):
            if value >= 0.005:
                colour = "white" if value > 0.5 else "black"
                text = f"{value * 100:.0f}"
                axes.text(x, y, text, ha="center", va="center", fontsize=8, color=colour)


def _draw_calibration(axes, found: Evaluation) -> None:  # type: ignore[no-untyped-def]
    pixels, sure, right = found.tally.bins.T
    full = pixels > 0
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfectly calibrated")
    axes.bar(
        (np.arange(BINS)[full] + 0.5) / BINS,
        pixels[full] / pixels.sum(),
        0.9 / BINS,
        color="0.85",
        label="share of pixels",
    )
    axes.plot(
        sure[full] / pixels[full],
        right[full] / pixels[full],
        marker=".",
        label="pixels that are right",
    )
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", box_aspect=1)
    axes.set_title(
        f"Confidence against accuracy\nexpected error {found.tally.calibration_error * 100:.2f} %",
        fontsize=11,
    )
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)
