"""An evaluation as pictures: its charts and the worst images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from segpipe.core.types import VOID, UInt8
from segpipe.inference.models import ClassInfo
from segpipe.inference.worker import SegmentationWorker
from segpipe.training.evaluation.charts import draw_confusion
from segpipe.training.evaluation.evaluate import Evaluation, LabelledData, segmented
from segpipe.training.evaluation.tables import write_tables

HEIGHT = 360
GAP, ABOVE = 6, 60


def write_evaluation(
    found: Evaluation, data: LabelledData, worker: SegmentationWorker, folder: Path, worst: int
) -> None:
    """Tables, the confusion matrix and the worst images of an evaluation, into a folder."""
    write_tables(found, folder)
    draw_confusion(found, folder / "confusion.png")
    write_worst(found, data, worker, folder / "worst", worst)


def write_worst(
    found: Evaluation, data: LabelledData, worker: SegmentationWorker, folder: Path, count: int
) -> list[Path]:
    """Write the worst images, each a PNG: picture, prediction, truth and where they differ. Returns
    the files."""
    wanted = {s.label: (rank, s) for rank, s in enumerate(found.worst(count), 1)}
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.png"):
        old.unlink()
    colours = class_colours(found.mapping.names, worker.segmenter.spec.classes, data)
    written = []
    shown = (item for item in data if item[0].label in wanted)
    for (pair, rgb, classes), result in segmented(worker, shown):
        rank, score = wanted[pair.label]
        truth = found.mapping.of_truth[classes]
        labels = found.mapping.of_model[result.labels]
        picture = side_by_side_picture(rgb, labels, truth, colours)
        title = (
            f"{pair.label.stem}: mean IoU {score.mean_iou * 100:.1f} %, accuracy "
            f"{score.accuracy * 100:.1f} %"
        )
        path = folder / f"{rank:02d}-{pair.label.stem}.png"
        cv2.imwrite(
            str(path), with_captions(picture, title, found.mapping.names, colours)[..., ::-1]
        )
        written.append(path)
    return sorted(written)


def class_colours(names: Sequence[str], model: Sequence[ClassInfo], data: LabelledData) -> UInt8:
    """Colours uint8 [256, 3] of the compared classes: the data's, else the model's, else the common
    ones'; void is black."""
    from segpipe.inference.models.colours import colour_of

    known = {c.name: c.colour for c in model} | {c.name: c.colour for c in data.taxonomy.classes}
    table = np.zeros((256, 3), np.uint8)
    for i, name in enumerate(names):
        table[i] = known.get(name) or colour_of(i, name)
    table[len(names)] = (255, 255, 255)  # found, but none of the compared classes
    table[VOID] = 0
    return table


def side_by_side_picture(rgb: UInt8, found: UInt8, truth: UInt8, colours: UInt8) -> UInt8:
    """Picture, prediction, truth and errors (red; void grey) beside each other, uint8 [HEIGHT, …,
    3]."""
    errors = (rgb * 0.35 + 110).astype(np.uint8)
    errors[(found != truth) & (truth != VOID)] = (225, 30, 40)
    errors[truth == VOID] = (90, 90, 90)
    width = round(rgb.shape[1] * HEIGHT / rgb.shape[0])
    tiles = [rgb, colours[found], colours[truth], errors]
    small = [
        cv2.resize(
            t, (width, HEIGHT), interpolation=cv2.INTER_AREA if i in {0, 3} else cv2.INTER_NEAREST
        )
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
