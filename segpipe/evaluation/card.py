"""The model card: what a model is, how it was made, what was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segpipe.evaluation.evaluate import Evaluation
from segpipe.evaluation.tables import percent
from segpipe.training.loop import TrainingReport
from segpipe.training.settings import TrainingJob


def card(job: TrainingJob, report: TrainingReport, found: Evaluation, images: int, speed: float) -> str:
    """The model card, in Markdown: what, recipe, measured accuracy, then the job's own text (`card`)."""
    tally, names = found.tally, found.mapping.names
    accuracy, error = percent(tally.accuracy).strip(), percent(tally.calibration_error).strip()
    rows = "\n".join(
        f"| {n} | {percent(i)} | {percent(b)} |" for n, i, b in zip(names, tally.iou, tally.boundary_f1, strict=True)
    )  # fmt: skip
    roots = ", ".join(Path(f.root).name for f in job.data.train)
    return f"""# {Path(job.output).name}

Labels {len(names)} classes: {", ".join(names)}. Made by `segpipe train`; `segpipe run --set model.source=smp:FOLDER` uses it,
and so does segmentation-models-pytorch where the network is one of its own.

## Recipe

- Trained on {images} images ({roots}; taxonomy {job.data.taxonomy}), validated on {len(found.images)} others.
{chr(10).join(recipe_of(job, found.parameters, report))}

## Measured

`segpipe evaluate FOLDER VAL`: {len(found.images)} images, single scale, void ignored.

| class | IoU | boundary F1 |
|---|---|---|
{rows}
| **mean** | **{percent(tally.mean_iou).strip()}** | {percent(float(np.nanmean(tally.boundary_f1))).strip()} |

Pixel accuracy {accuracy}, expected calibration error {error}. {speed:.1f} frames/s on the
machine that trained it (model alone, labels and statistics included); elsewhere, `segpipe compare` measures it.

{job.card.strip() or "## Data, terms, known failures" + chr(10) + chr(10) + "Not described: set `card` in the training job."}
"""


def recipe_of(job: TrainingJob, parameters: int, report: TrainingReport) -> list[str]:
    """The recipe, as lines of Markdown for the card."""
    network, plan, loss = job.network, job.schedule, " + ".join(f"{t.weight:g} {t.name}" for t in job.loss)
    encoder = f" on {network.encoder}" if network.architecture not in {"simple_cnn"} and network.encoder else ""
    begins = network.start or ("ImageNet weights in the encoder" if network.weights == "imagenet" and encoder else "random weights")
    size = f"shorter edge {job.input.shortest_edge}" if job.input.shortest_edge else "the image's own size"
    return [
        f"- Network: {network.architecture}{encoder}, {parameters / 1e6:.2f} M parameters, from {begins}.",
        f"- Input: {size}, edges to multiples of {job.input.multiple_of}, OpenCV's {job.input.interpolation} interpolation.",
        f"- Loss: {loss}; {job.optimiser.name}, highest rate {job.optimiser.rate:g}, {plan.curve} schedule.",
        f"- {report.epochs} epochs, {report.steps} steps of {plan.batch} crops of {job.augmentation.crop[0]}x"
        f"{job.augmentation.crop[1]}, {report.seconds / 60:.0f} minutes"
        + (f" on a GPU ({report.peak_gpu_bytes / 1e9:.1f} GB at most)" if report.peak_gpu_bytes else "")
        + (f"; exponential moving average of the weights ({plan.average:g})" if plan.average else "")
        + f"; the {plan.keep} weights are kept.",
    ]
