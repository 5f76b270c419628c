"""From a training job to a model that can be shipped: trained, measured from its file, with its
card."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from segpipe.core.taxonomy_files import load_taxonomy
from segpipe.inference.models import load
from segpipe.inference.worker import SegmentationWorker
from segpipe.runtime.files.atomic import write_text
from segpipe.training.data import find_pairs
from segpipe.training.evaluation.card import card
from segpipe.training.evaluation.compare import SPEED_IMAGES, frames_per_second
from segpipe.training.evaluation.evaluate import Evaluation, LabelledData, evaluate
from segpipe.training.evaluation.pictures import write_evaluation
from segpipe.training.loop import TrainingReport, train
from segpipe.training.settings import TrainingJob

WORST = 8


@dataclass(frozen=True, slots=True)
class Shipped:
    """A finished training run: its report, and the model measured as it lies in its folder."""

    report: TrainingReport
    evaluation: Evaluation


def train_and_measure(job: TrainingJob, fresh: bool = False, progress: bool = True) -> Shipped:
    """Train, then measure the written model on the validation images through the pipeline's worker,
    and write the card.

    Leaves `OUTPUT/model` with README.md, and `OUTPUT/evaluation` with tables and pictures.
    """
    report = train(job, fresh, progress)
    out = Path(job.output).expanduser()
    worker = SegmentationWorker(load(f"smp:{report.model}"))
    taxonomy = load_taxonomy(job.data.taxonomy).remapped(job.data.remap)
    pairs = tuple(p for folder in job.data.val for p in find_pairs(folder))
    data = LabelledData(", ".join(f.root for f in job.data.val), taxonomy, pairs)
    found = evaluate(worker, data)
    write_evaluation(found, data, worker, out / "evaluation", WORST)
    speed = frames_per_second(worker, [rgb for _, rgb, _ in islice(data, SPEED_IMAGES)])
    images = sum(len(find_pairs(folder)) for folder in job.data.train)
    write_text(report.model / "README.md", card(job, report, found, images, speed))
    return Shipped(report, found)
