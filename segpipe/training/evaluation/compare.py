"""`compare`: accuracy against speed and size, several models on the same images in one run."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from segpipe.core.types import FrameBatch, FrameRef, ModelInput, UInt8
from segpipe.inference.worker import SegmentationWorker
from segpipe.runtime.files.atomic import publish, temp_path
from segpipe.runtime.threads import ordered_parallel_map
from segpipe.training.evaluation.evaluate import Evaluation, LabelledData, evaluate
from segpipe.training.evaluation.tables import percent

SPEED_IMAGES = 24


@dataclass(frozen=True, slots=True)
class Compared:
    """One model: its evaluation and its frames per second (median of the rounds, on this machine,
    model alone)."""

    evaluation: Evaluation
    frames_per_s: float


def compare(
    workers: Sequence[SegmentationWorker],
    data: LabelledData,
    given: Mapping[str, str] | None = None,
    rounds: int = 3,
) -> list[Compared]:
    """Measure each model; speeds are taken in turns, so that what else the machine does falls on
    all alike."""
    found = [evaluate(w, data, given) for w in workers]
    pictures = [rgb for _, rgb, _ in islice(data, SPEED_IMAGES)]
    rates: list[list[float]] = [[] for _ in workers]
    for _ in range(rounds):
        for i, worker in enumerate(workers):
            rates[i].append(frames_per_second(worker, pictures))
    return [Compared(e, statistics.median(r)) for e, r in zip(found, rates, strict=True)]


def frames_per_second(worker: SegmentationWorker, pictures: Sequence[UInt8]) -> float:
    """Frames per second of the worker alone: pictures uint8 [H, W, 3] in memory to labels and
    statistics."""
    inputs = [
        ModelInput(FrameRef("", "", ""), *worker.segmenter.spec.preprocessing.apply(p))
        for p in pictures
    ]
    size, kinds = worker.batch_size, sorted({i.pixels.shape for i in inputs})
    alike = [[i for i in inputs if i.pixels.shape == kind] for kind in kinds]
    batches = [
        FrameBatch(tuple(group[k : k + size]))
        for group in alike
        for k in range(0, len(group), size)
    ]
    worker.run(batches[0])  # the first call compiles and allocates
    began = time.perf_counter()
    for _ in ordered_parallel_map(worker.run, batches, worker.lanes, worker.enter_lane):
        pass
    return len(inputs) / (time.perf_counter() - began)


def compared_as_text(found: Sequence[Compared]) -> str:
    """One table: a line for each model, the most accurate first."""
    width = max(8, *(len(c.evaluation.model) for c in found))
    lines = [f"{'model':{width}}  mean IoU  accuracy  calibration  parameters  frames/s"]
    for c in sorted(found, key=lambda c: -c.evaluation.tally.mean_iou):
        tally = c.evaluation.tally
        lines.append(
            f"{c.evaluation.model:{width}}   {percent(tally.mean_iou)}   "
            f"{percent(tally.accuracy)}      "
            f"{percent(tally.calibration_error)}    {c.evaluation.parameters / 1e6:6.2f} M   "
            f"{c.frames_per_s:7.1f}"
        )
    kinds = {c.evaluation.mapping.kind for c in found}
    classes = {c.evaluation.mapping.names for c in found}
    if len(classes) > 1:
        lines.append(
            "not the same classes were measured for all: mean IoUs can't be compared one to one; "
            "see segpipe evaluate"
        )
    lines.append(
        f"classes compared by {' and '.join(sorted(kinds))}; speed is this machine's, the model "
        "alone, in turns"
    )
    return "\n".join(lines)


def write_comparison(found: Sequence[Compared], folder: Path) -> None:
    """Write `comparison.parquet` and `comparison.png` (mean IoU over speed, size as area)."""
    import polars as pl

    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {
            "model": c.evaluation.model,
            "weights": c.evaluation.digest,
            "data": c.evaluation.data,
            "mean_iou": c.evaluation.tally.mean_iou,
            "accuracy": c.evaluation.tally.accuracy,
            "calibration_error": c.evaluation.tally.calibration_error,
            "parameters": c.evaluation.parameters,
            "frames_per_s": c.frames_per_s,
            "classes": list(c.evaluation.mapping.names),
        }
        for c in found
    ]
    path = folder / "comparison.parquet"
    pl.DataFrame(rows).write_parquet(temp_path(path))
    publish(path)
    draw_comparison(found, folder / "comparison.png")


def draw_comparison(found: Sequence[Compared], path: Path) -> None:
    """Mean IoU over frames per second; the area of a disc is the number of parameters."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    for i, c in enumerate(found):
        x, y, size = (
            c.frames_per_s,
            c.evaluation.tally.mean_iou * 100,
            c.evaluation.parameters / 1e6,
        )
        axes.scatter([x], [y], s=40 + 60 * size, color=f"C{i % 10}", alpha=0.6, edgecolor="none")
        label = f"{short_name(c.evaluation.model)}\n{y:.1f} %, {x:.1f}/s, {size:.2f} M"
        axes.annotate(label, (x, y), (0, 14), textcoords="offset points", ha="center", fontsize=9)
    highest = max(c.frames_per_s for c in found)
    axes.set(
        xlim=(0, highest * 1.25),
        ylim=(0, 100),
        xlabel="frames per second (model alone, this machine)",
        ylabel="mean IoU, %",
    )
    axes.set_title(
        f"{found[0].evaluation.data}: accuracy against speed; area is the number of parameters",
        fontsize=10,
    )
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(temp_path(path), dpi=110, format="png")
    publish(path)


def short_name(model: str) -> str:
    """A model's name without the folders before it."""
    parts = model.rstrip("/").split("/")
    return "/".join(parts[-2:]) if parts[-1] == "model" else parts[-1]
