"""An evaluation as pictures: the confusion matrix, how far confidence can be trusted, the worst images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from segpipe.evaluation.evaluate import Evaluation, LabelledData, segment
from segpipe.evaluation.metrics import BINS
from segpipe.evaluation.tables import write_tables
from segpipe.frames import VOID, UInt8
from segpipe.models import ClassInfo
from segpipe.store.files import aside, publish
from segpipe.worker import SegmentationWorker

HEIGHT = 360
GAP, ABOVE = 6, 60


def write_evaluation(found: Evaluation, data: LabelledData, worker: SegmentationWorker, folder: Path, worst: int) -> None:
    """Tables, the confusion matrix and the worst images of an evaluation, into a folder."""
    write_tables(found, folder)
    draw_confusion(found, folder / "confusion.png")
    write_worst(found, data, worker, folder / "worst", worst)


def draw_confusion(found: Evaluation, path: Path) -> None:
    """The confusion matrix as shares of each true class, and the calibration beside it, into a PNG."""
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
    axes.set_title(f"Share of each true class's pixels, in %\nmean IoU {found.tally.mean_iou * 100:.2f} %", fontsize=11)
    if len(ends) <= 30:
        for y, row in enumerate(share):
            for x, value in enumerate(row):
                if value >= 0.005:
                    colour = "white" if value > 0.5 else "black"
                    axes.text(x, y, f"{value * 100:.0f}", ha="center", va="center", fontsize=8, color=colour)
    _draw_calibration(lines, found)
    figure.savefig(aside(path), dpi=100, format="png")
    publish(path)


def _draw_calibration(axes, found: Evaluation) -> None:  # type: ignore[no-untyped-def]
    pixels, sure, right = found.tally.bins.T
    full = pixels > 0
    axes.plot([0, 1], [0, 1], color="0.7", linestyle="--", label="perfectly calibrated")
    axes.bar((np.arange(BINS)[full] + 0.5) / BINS, pixels[full] / pixels.sum(), 0.9 / BINS, color="0.85", label="share of pixels")
    axes.plot(sure[full] / pixels[full], right[full] / pixels[full], marker=".", label="pixels that are right")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", box_aspect=1)
    axes.set_title(f"Confidence against accuracy\nexpected error {found.tally.calibration_error * 100:.2f} %", fontsize=11)
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    axes.spines[["top", "right"]].set_visible(False)


def write_worst(found: Evaluation, data: LabelledData, worker: SegmentationWorker, folder: Path, count: int) -> list[Path]:
    """Write the worst images, each a PNG: picture, prediction, truth and where they differ. Returns the files."""
    wanted = {s.label: (rank, s) for rank, s in enumerate(found.worst(count), 1)}
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    colours = class_colours(found.mapping.names, worker.segmenter.spec.classes, data)
    written = []
    for pair, rgb, classes in data:
        if pair.label not in wanted:
            continue
        rank, score = wanted[pair.label]
        truth = found.mapping.of_truth[classes]
        labels = found.mapping.of_model[segment(worker, rgb)[0]]
        picture = side_by_side_picture(rgb, labels, truth, colours)
        title = f"{pair.label.stem}: mean IoU {score.mean_iou * 100:.1f} %, accuracy {score.accuracy * 100:.1f} %"
        path = folder / f"{rank:02d}-{pair.label.stem}.png"
        cv2.imwrite(str(path), with_captions(picture, title, found.mapping.names, colours)[..., ::-1])
        written.append(path)
    return sorted(written)


def class_colours(names: Sequence[str], model: Sequence[ClassInfo], data: LabelledData) -> UInt8:
    """Colours uint8 [256, 3] of the compared classes: the data's, else the model's, else the common ones'; void is black."""
    from segpipe.models.colours import colour_of

    known = {c.name: c.colour for c in model} | {c.name: c.colour for c in data.taxonomy.classes}
    table = np.zeros((256, 3), np.uint8)
    for i, name in enumerate(names):
        table[i] = known.get(name) or colour_of(i, name)
    table[len(names)] = (255, 255, 255)  # found, but none of the compared classes
    table[VOID] = 0
    return table


def side_by_side_picture(rgb: UInt8, found: UInt8, truth: UInt8, colours: UInt8) -> UInt8:
    """Picture, prediction, truth and errors (red; void grey) beside each other, uint8 [HEIGHT, …, 3]."""
    errors = (rgb * 0.35 + 110).astype(np.uint8)
    errors[(found != truth) & (truth != VOID)] = (225, 30, 40)
    errors[truth == VOID] = (90, 90, 90)
    width = round(rgb.shape[1] * HEIGHT / rgb.shape[0])
    tiles = [rgb, colours[found], colours[truth], errors]
    small = [
        cv2.resize(t, (width, HEIGHT), interpolation=cv2.INTER_AREA if i in {0, 3} else cv2.INTER_NEAREST)
        for i, t in enumerate(tiles)
    ]
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    row = [part for tile in small for part in (tile, gap)][:-1]
    return np.asarray(np.hstack(row), np.uint8)


def with_captions(picture: UInt8, title: str, names: Sequence[str], colours: UInt8) -> UInt8:
    """The title and each tile's name above, the classes' colours below."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    height, width = picture.shape[:2]
    shown = list(enumerate(names))[:36]
    columns = max(1, min(len(shown), int(width / 130)))
    below = 26 * -(-len(shown) // columns) + 10
    whole = height + below + ABOVE
    figure = Figure(figsize=(width / 100, whole / 100), dpi=100)
    axes = figure.add_axes((0, below / whole, 1, height / whole))
    axes.imshow(picture, aspect="auto", interpolation="none")
    axes.set_axis_off()
    tile = (width + GAP) / 4
    for i, name in enumerate(("image", "prediction", "truth", "wrong pixels (void grey)")):
        figure.text((i * tile + 4) / width, (below + height + 7) / whole, name, fontsize=10)
    figure.text(4 / width, (below + height + 32) / whole, title, fontsize=12, weight="bold")
    patches = [Patch(color="#" + bytes(colours[i]).hex(), label=n) for i, n in shown]
    figure.legend(handles=patches, loc="lower left", ncols=columns, frameon=False, fontsize=9)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # type: ignore[no-untyped-call]
    return np.asarray(canvas.buffer_rgba(), np.uint8)[..., :3].copy()  # type: ignore[no-untyped-call]
