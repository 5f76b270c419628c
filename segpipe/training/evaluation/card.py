"""The model card: what a model is, how it was made, what was measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from segpipe.training.evaluation.evaluate import Evaluation
from segpipe.training.evaluation.tables import percent
from segpipe.training.loop import TrainingReport
from segpipe.training.settings import TrainingJob


def card(
    job: TrainingJob, report: TrainingReport, found: Evaluation, images: int, speed: float
) -> str:
    """The model card, in Markdown: what, recipe, measured accuracy, then the job's own text
    (`card`)."""
    tally, names = found.tally, found.mapping.names
    accuracy, error = percent(tally.accuracy).strip(), percent(tally.calibration_error).strip()
    own = job.card.strip() or (
        "## Data, terms, known failures\n\nNot described: set `card` in the training job."
    )
    roots = ", ".join(Path(f.root).name for f in job.data.train)
    return f"""# {Path(job.output).name}

Labels {len(names)} classes: {", ".join(names)}.
Made by `segpipe train`; `segpipe run --set model.source=smp:FOLDER` uses it,
and so does segmentation-models-pytorch where the network is one of its own.

## Recipe

- Trained on {images} images ({roots}; taxonomy {job.data.taxonomy}),
  validated on {len(found.images)} others.
{chr(10).join(recipe_of(job, found.parameters, report))}

## Measured

`segpipe evaluate FOLDER VAL`: {len(found.images)} images, single scale, void ignored.

{_class_table(found)}

Pixel accuracy {accuracy}, expected calibration error {error}. {speed:.1f} frames/s on the
machine that trained it (model alone, labels and statistics included); elsewhere,
`segpipe compare` measures it.

{own}
"""


def _class_table(found: Evaluation) -> str:
    tally, names = found.tally, found.mapping.names
    mean_f1 = percent(float(np.nanmean(tally.boundary_f1))).strip()
    rows = [
        f"| {n} | {percent(i)} | {percent(b)} |"
        for n, i, b in zip(names, tally.iou, tally.boundary_f1, strict=True)
    ]
    head = ["| class | IoU | boundary F1 |", "|---|---|---|"]
    mean = f"| **mean** | **{percent(tally.mean_iou).strip()}** | {mean_f1} |"
    return "\n".join([*head, *rows, mean])


def recipe_of(job: TrainingJob, parameters: int, report: TrainingReport) -> list[str]:
    """The recipe, as lines of Markdown for the card."""
    plan, loss = job.schedule, " + ".join(f"{t.weight:g} {t.name}" for t in job.loss)
    size = (
        f"shorter edge {job.input.shortest_edge}"
        if job.input.shortest_edge
        else "the image's own size"
    )
    return [
        f"- Network: {_network(job)}, {parameters / 1e6:.2f} M parameters, from {_begins(job)}.",
        f"- Input: {size}, edges to multiples of {job.input.multiple_of}, OpenCV's "
        f"{job.input.interpolation} interpolation.",
        f"- Loss: {loss}; {job.optimiser.name}, highest rate {job.optimiser.rate:g}, "
        f"{plan.curve} schedule.",
        f"- {report.epochs} epochs, {report.steps} steps of {plan.batch} crops of "
        f"{job.augmentation.crop[0]}x{job.augmentation.crop[1]}, "
        f"{report.seconds / 60:.0f} minutes{_gpu(report)}{_average(job)}; the {plan.keep} "
        "weights are kept.",
    ]


def _encoder(job: TrainingJob) -> str:
    """The encoder's name, empty where the network has none."""
    network = job.network
    return network.encoder or "" if network.architecture != "simple_cnn" else ""


def _network(job: TrainingJob) -> str:
    encoder = _encoder(job)
    return job.network.architecture + (f" on {encoder}" if encoder else "")


def _begins(job: TrainingJob) -> str:
    """What the weights were before."""
    pretrained = job.network.weights == "imagenet" and _encoder(job)
    return job.network.start or (
        "ImageNet weights in the encoder" if pretrained else "random weights"
    )


def _gpu(report: TrainingReport) -> str:
    used = report.peak_gpu_bytes
    return f" on a GPU ({used / 1e9:.1f} GB at most)" if used else ""


def _average(job: TrainingJob) -> str:
    average = job.schedule.average
    return f"; exponential moving average of the weights ({average:g})" if average else ""
