"""An evaluation as text and as Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segpipe.evaluation.evaluate import Evaluation
from segpipe.store.files import aside, publish


def as_text(found: Evaluation) -> str:
    """A table of the classes and the figures of the whole."""
    tally, mapping = found.tally, found.mapping
    share = tally.confusion.sum(1) / tally.confusion.sum()
    width = max(12, *(len(n) for n in mapping.names))
    lines = [
        f"model  {found.model}  ({found.parameters / 1e6:.2f} M parameters, weights {found.digest})",
        f"data   {found.data}  ({len(found.images)} images; classes compared by {mapping.kind})",
    ]
    if mapping.unmeasured:
        lines.append(f"not measured, for the model has no such class: {', '.join(mapping.unmeasured)}")
    lines += ["", f"{'class':{width}}     IoU  boundary F1  share of pixels"]
    for i, name in enumerate(mapping.names):
        lines.append(f"{name:{width}}  {percent(tally.iou[i])}     {percent(tally.boundary_f1[i])}         {percent(share[i])}")
    boundary = float(np.nanmean(tally.boundary_f1)) if np.isfinite(tally.boundary_f1).any() else float("nan")
    lines += [
        "",
        f"{'mean IoU':{width}}  {percent(tally.mean_iou)}",
        f"{'accuracy':{width}}  {percent(tally.accuracy)}   of labelled pixels",
        f"{'boundary F1':{width}}  {percent(boundary)}",
        f"{'calibration':{width}}  {percent(tally.calibration_error)}   expected error of the confidence",
    ]
    return "\n".join(lines)


def percent(value: float) -> str:
    """A share in per cent, seven characters."""
    return "     –" if not np.isfinite(value) else f"{value * 100:5.2f} %".rjust(6)


def write_tables(found: Evaluation, folder: Path) -> None:
    """Write `classes.parquet`, `images.parquet` and `confusion.parquet`."""
    import polars as pl

    tally, names = found.tally, found.mapping.names
    inside = np.diagonal(tally.confusion)
    true, given = tally.confusion.sum(1), tally.confusion[:, :-1].sum(0)
    whole = {"model": found.model, "weights": found.digest, "data": found.data}
    classes = pl.DataFrame({
        "class_id": range(len(names)), "class_name": names, "iou": tally.iou, "boundary_f1": tally.boundary_f1,
        "true_pixels": true, "found_pixels": given, "right_pixels": inside,
    })  # fmt: skip
    images = pl.DataFrame({
        "image": [str(i.image) for i in found.images], "label": [str(i.label) for i in found.images],
        "mean_iou": [i.mean_iou for i in found.images], "accuracy": [i.accuracy for i in found.images],
    })  # fmt: skip
    ends = (*names, "(none of them)")
    confusion = pl.DataFrame({
        "true_class": [t for t in names for _ in ends], "found_class": [f for _ in names for f in ends],
        "pixels": tally.confusion.ravel(),
    })  # fmt: skip
    summary = pl.DataFrame([{
        "mean_iou": tally.mean_iou, "accuracy": tally.accuracy, "boundary_f1": float(np.nanmean(tally.boundary_f1)),
        "calibration_error": tally.calibration_error, "parameters": found.parameters, "images": len(found.images),
    }])  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    for name, table in (("classes", classes), ("images", images), ("confusion", confusion), ("summary", summary)):
        path = folder / f"{name}.parquet"
        table.with_columns(**{k: pl.lit(v) for k, v in whole.items()}).write_parquet(aside(path))
        publish(path)
