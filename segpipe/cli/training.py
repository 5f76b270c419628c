"""Commands around models: train, evaluate, compare."""

from __future__ import annotations

import logging
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from segpipe.cli.outputs import check_folder
from segpipe.cli.progress import Progress
from segpipe.core.config.job import ModelSettings, apply_sets, read_yaml
from segpipe.core.errors import EXIT_OK, ConfigError, SourceError
from segpipe.core.extras import require
from segpipe.core.text import counted

if TYPE_CHECKING:
    from segpipe.inference.worker import SegmentationWorker
    from segpipe.training.evaluation.evaluate import LabelledData

_REPORTING = ("matplotlib", "polars")
"""What tables and pictures of an evaluation are made with."""


def train(args: Namespace) -> int:
    """`segpipe train`."""
    require("train", "segpipe train")
    from segpipe.training.settings import make_training_job

    content = apply_sets(read_yaml(args.config), args.set)
    if args.output:
        content["output"] = args.output
    job = make_training_job(content, args.config)
    job.data.places()  # a missing data set is told before torch is loaded
    from segpipe.training.evaluation.shipping import train_and_measure
    from segpipe.training.evaluation.tables import as_text

    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    bar = not args.quiet and sys.stdout.isatty()  # where Lightning draws it
    if not args.quiet and not bar:
        logging.getLogger("segpipe.training").setLevel(logging.INFO)
    done = train_and_measure(job, args.fresh, progress=bar)
    report = done.report
    if report.resumed_from:
        print(f"went on after epoch {report.resumed_from}")
    epochs, steps = counted(report.epochs, "epoch"), counted(report.steps, "step")
    print(f"trained {epochs} ({steps}) in {report.seconds / 60:.1f} min\n")
    print(as_text(done.evaluation))
    out = Path(job.output)
    print(f"\nmodel:    {report.model}   (segpipe run … --set model.source=smp:{report.model})")
    print(
        f"curves:   {out / 'curves.png'}   (tensorboard --logdir "
        f"{out / 'tensorboard'})\npictures: {out / 'evaluation'}"
    )
    return EXIT_OK


def data_from(args: Namespace) -> LabelledData:
    """The labelled images that the arguments name."""
    from segpipe.core.taxonomy_files import taxonomy_of_folder
    from segpipe.training.data_settings import Folder
    from segpipe.training.evaluation.evaluate import labelled_data

    if not Path(args.data).expanduser().is_dir():
        raise SourceError(f"{args.data}: no such folder; give the folder of the labelled images")
    folder = Folder(
        root=args.data, layout=args.layout, split=args.split, images=args.images, labels=args.labels
    )
    taxonomy = taxonomy_of_folder(Path(args.data).expanduser(), args.taxonomy, args.layout)
    return labelled_data(folder, taxonomy)


def worker_of(source: str, args: Namespace) -> SegmentationWorker:
    """The model on its device."""
    from segpipe.inference.models import load
    from segpipe.inference.worker import SegmentationWorker

    if args.threshold is not None and not 0 < args.threshold < 1:
        raise ConfigError(
            f"--threshold {args.threshold:g}: a probability between 0 and 1, such as 0.5"
        )
    segmenter = load(source, threshold=args.threshold)
    return SegmentationWorker(
        segmenter, ModelSettings(source=source, device=args.device, precision=args.precision)
    )


def mapping_from(args: Namespace) -> dict[str, str] | None:
    """The class mapping of `--mapping`."""
    if args.mapping is None:
        return None
    return {str(k): str(v) for k, v in read_yaml(args.mapping).items()}


def evaluate(args: Namespace) -> int:
    """`segpipe evaluate`."""
    if args.output:
        require("train", "segpipe evaluate -o", modules=_REPORTING)
    from segpipe.training.evaluation import evaluate as measuring
    from segpipe.training.evaluation.pictures import write_evaluation
    from segpipe.training.evaluation.tables import as_text

    if args.worst < 0:
        raise ConfigError(f"--worst {args.worst}: 0 or more")
    check_folder(args.output, args.force)
    data, worker, mapping = data_from(args), worker_of(args.model, args), mapping_from(args)
    with Progress("evaluate", "image", len(data), quiet=args.quiet > 0) as bar:
        found = measuring.evaluate(worker, data, mapping, bar.update)
    print(as_text(found))
    if args.output:
        write_evaluation(found, data, worker, Path(args.output), args.worst)
        print(f"\ntables and pictures: {args.output}")
    return EXIT_OK


def compare(args: Namespace) -> int:
    """`segpipe compare`."""
    if args.output:
        require("train", "segpipe compare -o", modules=_REPORTING)
    from segpipe.training.evaluation import compare as comparing

    if args.rounds < 1:
        raise ConfigError(f"--rounds {args.rounds}: at least 1")
    if len(args.models) < 2:
        raise ConfigError(
            "compare wants two or more models and a data set: segpipe compare MODEL MODEL DATA"
        )
    check_folder(args.output, args.force)
    data, mapping = data_from(args), mapping_from(args)
    found = comparing.compare([worker_of(m, args) for m in args.models], data, mapping, args.rounds)
    print(comparing.compared_as_text(found))
    if args.output:
        comparing.write_comparison(found, Path(args.output))
        print(f"\ntable and plot: {args.output}")
    return EXIT_OK
