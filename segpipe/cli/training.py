"""Commands around models: train, evaluate, compare, export."""

from __future__ import annotations

import logging
import sys
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING

from segpipe.config import ModelSettings, apply_sets, read_yaml
from segpipe.errors import EXIT_OK, ConfigError

if TYPE_CHECKING:
    from segpipe.evaluation.evaluate import LabelledData
    from segpipe.worker import SegmentationWorker

NEEDS = "needs the extra 'train': pip install 'segpipe[train]'"


def train(args: Namespace) -> int:
    """`segpipe train`."""
    from segpipe.training.settings import make_training_job

    content = apply_sets(read_yaml(args.config), args.set)
    if args.output:
        content["output"] = args.output
    job = make_training_job(content, args.config)
    try:
        from segpipe.evaluation.shipping import train_and_measure
    except ImportError as error:
        raise ConfigError(f"segpipe train {NEEDS} ({error})") from None
    logging.getLogger("lightning.pytorch").setLevel(logging.WARNING)
    from segpipe.evaluation.tables import as_text

    done = train_and_measure(job, args.fresh, progress=not args.quiet)
    report = done.report
    if report.resumed_from:
        print(f"went on after epoch {report.resumed_from}")
    print(f"trained {report.epochs} epochs ({report.steps} steps) in {report.seconds / 60:.1f} min\n")
    print(as_text(done.evaluation))
    out = Path(job.output)
    print(f"\nmodel:    {report.model}   (segpipe run … --set model.source=smp:{report.model})")
    print(f"curves:   {out / 'curves.png'}   (tensorboard --logdir {out / 'tensorboard'})\npictures: {out / 'evaluation'}")
    return EXIT_OK


def data_from(args: Namespace) -> LabelledData:
    """The labelled images that the arguments name."""
    from segpipe.evaluation.evaluate import labelled_data
    from segpipe.taxonomy_files import taxonomy_of_folder
    from segpipe.training.settings import Folder

    folder = Folder(root=args.data, layout=args.layout, split=args.split, images=args.images, labels=args.labels)
    taxonomy = taxonomy_of_folder(Path(args.data).expanduser(), args.taxonomy, args.layout)
    return labelled_data(folder, taxonomy)


def worker_of(source: str, args: Namespace) -> SegmentationWorker:
    """The model on its device."""
    from segpipe.models import load
    from segpipe.worker import SegmentationWorker

    return SegmentationWorker(load(source), ModelSettings(source=source, device=args.device, precision=args.precision))


def mapping_from(args: Namespace) -> dict[str, str] | None:
    """The class mapping of `--mapping`."""
    if args.mapping is None:
        return None
    return {str(k): str(v) for k, v in read_yaml(args.mapping).items()}


def evaluate(args: Namespace) -> int:
    """`segpipe evaluate`."""
    from tqdm import tqdm

    from segpipe.evaluation import evaluate as measuring
    from segpipe.evaluation.pictures import write_evaluation
    from segpipe.evaluation.tables import as_text

    if args.worst < 0:
        raise ConfigError(f"--worst {args.worst}: 0 or more")
    data, worker, mapping = data_from(args), worker_of(args.model, args), mapping_from(args)
    with tqdm(total=len(data), unit="image", disable=True if args.quiet else None, file=sys.stderr) as bar:
        found = measuring.evaluate(worker, data, mapping, bar.update)
    print(as_text(found))
    if args.output:
        write_evaluation(found, data, worker, Path(args.output), args.worst)
        print(f"\ntables and pictures: {args.output}")
    return EXIT_OK


def compare(args: Namespace) -> int:
    """`segpipe compare`."""
    from segpipe.evaluation import compare as comparing

    if args.rounds < 1:
        raise ConfigError(f"--rounds {args.rounds}: at least 1")
    if len(args.models) < 2:
        raise ConfigError("compare wants two or more models and a data set: segpipe compare MODEL MODEL DATA")
    data, mapping = data_from(args), mapping_from(args)
    found = comparing.compare([worker_of(m, args) for m in args.models], data, mapping, args.rounds)
    print(comparing.compared_as_text(found))
    if args.output:
        comparing.write_comparison(found, Path(args.output))
        print(f"\ntable and plot: {args.output}")
    return EXIT_OK


def export(args: Namespace) -> int:
    """`segpipe export`."""
    from segpipe.evaluation.onnx_export import export_onnx
    from segpipe.models import load

    done = export_onnx(load(args.model), Path(args.output))
    tried = ", ".join(f"{n}x{h}x{w}" for n, h, w in done.sizes)
    print(f"{done.path}  ({done.path.stat().st_size / 1e6:.1f} MB)")
    print(f"differs from torch by at most {done.worst:.1e} of the largest logit (random pixels, {tried})")
    return EXIT_OK
