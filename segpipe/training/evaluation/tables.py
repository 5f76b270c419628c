"""An evaluation as text and as Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from segpipe.core.text import counted
from segpipe.runtime.files.atomic import publish, temp_path
from segpipe.training.evaluation.evaluate import Evaluation

MATRIX_AT_MOST = 20


def as_text(found: Evaluation) -> str:
    """A table of the classes and the figures of the whole."""
    tally, mapping = found.tally, found.mapping
    share = tally.confusion.sum(1) / tally.confusion.sum()
    width = max(12, *(len(n) for n in mapping.names))
    lines = [
        f"model  {found.model}  ({found.parameters / 1e6:.2f} M parameters, weights "
        f"{found.digest})",
        f"data   {found.data}  ({counted(len(found.images), 'image')}; classes compared by "
        f"{mapping.kind})",
    ]
    if mapping.unmeasured:
        lines.append(
            f"not measured, for the model has no such class: {', '.join(mapping.unmeasured)}"
        )
    lines += ["", f"{'class':{width}}     IoU  boundary F1  share of pixels"]
    for i, name in enumerate(mapping.names):
        lines.append(
            f"{name:{width}}  {percent(tally.iou[i])}     {percent(tally.boundary_f1[i])}        "
            f" {percent(share[i])}"
        )
    boundary = (
        float(np.nanmean(tally.boundary_f1))
        if np.isfinite(tally.boundary_f1).any()
        else float("nan")
    )
    lines += [
        "",
        f"{'mean IoU':{width}}  {percent(tally.mean_iou)}",
        f"{'accuracy':{width}}  {percent(tally.accuracy)}   of labelled pixels",
        f"{'boundary F1':{width}}  {percent(boundary)}",
        f"{'calibration':{width}}  {percent(tally.calibration_error)}   expected error of the "
        "confidence",
        "",
        *confusion_as_text(found),
    ]
    return "\n".join(lines)


def confusion_as_text(found: Evaluation) -> list[str]:
    """The confusion matrix in whole per cent of each true class, a column for each found class by
    number; of more classes than a screen holds, the worst mistakes only."""
    names, counts = found.mapping.names, found.tally.confusion
    share = 100.0 * counts / np.maximum(1, counts.sum(1, keepdims=True))
    width = max(12, *(len(n) for n in names))
    if len(names) > MATRIX_AT_MOST:
        wrong = share[:, :-1] - np.diag(np.diag(share))
        worst = np.argsort(wrong, axis=None)[::-1][:10]
        pairs = [np.unravel_index(w, wrong.shape) for w in worst]
        return [
            "worst mistakes",
            *(f"{names[t]:{width}}  taken for {names[f]}: {wrong[t, f]:.0f} %" for t, f in pairs),
        ]
    ends = [*(str(i) for i in range(len(names))), *(["none"] if counts[:, -1].any() else [])]
    head = (
        f"{'true, found':{width + 3}}" + "".join(f"{e:>5}" for e in ends) + "   % of the true class"
    )
    rows = []
    for i, name in enumerate(names):
        cells = "".join(f"{v:5.0f}" if v >= 0.5 else "    ·" for v in share[i, : len(ends)])
        rows.append(f"{i:2} {name:{width}}{cells}")
    return [head, *rows]


def percent(value: float) -> str:
    """A share in per cent, seven characters."""
    return "     –" if not np.isfinite(value) else f"{value * 100:5.2f} %".rjust(6)


def write_tables(found: Evaluation, folder: Path) -> None:
    """Write `classes.parquet`, `images.parquet`, `confusion.parquet` and `summary.parquet`."""
    import polars as pl

    whole = {"model": found.model, "weights": found.digest, "data": found.data}
    folder.mkdir(parents=True, exist_ok=True)
    for name, columns in (
        ("classes", _classes(found)),
        ("images", _images(found)),
        ("confusion", _confusion(found)),
        ("summary", _summary(found)),
    ):
        path = folder / f"{name}.parquet"
        table = pl.DataFrame(columns)
        table.with_columns(**{k: pl.lit(v) for k, v in whole.items()}).write_parquet(
            temp_path(path)
        )
        publish(path)


def _classes(found: Evaluation) -> dict[str, Any]:
    """A row for each class."""
    tally, names = found.tally, found.mapping.names
    return {
        "class_id": range(len(names)),
        "class_name": names,
        "iou": tally.iou,
        "boundary_f1": tally.boundary_f1,
        "true_pixels": tally.confusion.sum(1),
        "found_pixels": tally.confusion[:, :-1].sum(0),
        "right_pixels": np.diagonal(tally.confusion),
    }


def _images(found: Evaluation) -> dict[str, Any]:
    """A row for each image."""
    return {
        "image": [str(i.image) for i in found.images],
        "label": [str(i.label) for i in found.images],
        "mean_iou": [i.mean_iou for i in found.images],
        "accuracy": [i.accuracy for i in found.images],
    }


def _confusion(found: Evaluation) -> dict[str, Any]:
    """A row for each true class and found class."""
    names = found.mapping.names
    ends = (*names, "(none of them)")
    return {
        "true_class": [t for t in names for _ in ends],
        "found_class": [f for _ in names for f in ends],
        "pixels": found.tally.confusion.ravel(),
    }


def _summary(found: Evaluation) -> dict[str, Any]:
    """The one row of the whole."""
    tally = found.tally
    return {
        "mean_iou": [tally.mean_iou],
        "accuracy": [tally.accuracy],
        "boundary_f1": [float(np.nanmean(tally.boundary_f1))],
        "calibration_error": [tally.calibration_error],
        "parameters": [found.parameters],
        "images": [len(found.images)],
    }
