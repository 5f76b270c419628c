"""The arguments of the commands that train and measure models."""

from __future__ import annotations

import argparse

from segpipe.analysis.export import EXPORTS
from segpipe.cli.arguments import Commands
from segpipe.cli.outputs import add_force, path_name


def add_models(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the commands around models."""
    _add_train(commands)
    _add_evaluate(commands)
    _add_compare(commands)
    _add_export(commands)


def _add_train(commands: Commands[argparse.ArgumentParser]) -> None:
    train = commands.add_parser(
        "train",
        help="train a model on labelled images",
        description=(
            "Train a segmentation model. Give the same command again to continue a run that was "
            "stopped."
        ),
    )
    train.add_argument(
        "-c",
        "--config",
        required=True,
        metavar="FILE",
        help="a YAML job, such as configs/train-camvid.yaml",
    )
    train.add_argument(
        "-o", "--output", metavar="OUT", help="the folder of the training run; overrides the config"
    )
    train.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="overrides the config, such as schedule.epochs=20",
    )
    train.add_argument("--fresh", action="store_true", help="delete the run in OUT and start over")


def _add_evaluate(commands: Commands[argparse.ArgumentParser]) -> None:
    evaluate = commands.add_parser(
        "evaluate",
        help="measure a model on labelled images",
        description=(
            "Print mean IoU, IoU and boundary F1 of each class, accuracy and calibration. -o "
            "also writes tables, the confusion matrix and pictures of the worst images."
        ),
    )
    evaluate.add_argument(
        "model",
        metavar="MODEL",
        help="a model URI (segpipe models) or a folder that segpipe train wrote",
    )
    evaluate.add_argument(
        "data",
        metavar="DATA",
        help="folder with images/ and labels/, or what --layout says, or a sample drive",
    )
    evaluate.add_argument(
        "--worst",
        type=int,
        default=8,
        metavar="N",
        help="pictures of the N worst images (default 8)",
    )
    _labelled_data(evaluate)


def _add_compare(commands: Commands[argparse.ArgumentParser]) -> None:
    compare = commands.add_parser(
        "compare",
        help="compare models: accuracy, speed, size",
        description=(
            "Print the accuracy, speed and size of two or more models in one table. -o also "
            "writes the table and a plot."
        ),
    )
    compare.add_argument(
        "models", nargs="+", metavar="MODEL", help="two or more model URIs or folders"
    )
    compare.add_argument("data", metavar="DATA", help="as for segpipe evaluate")
    compare.add_argument(
        "--rounds",
        type=int,
        default=3,
        metavar="N",
        help="how often to measure the speed; the medians count (default 3)",
    )
    _labelled_data(compare)


def _add_export(commands: Commands[argparse.ArgumentParser]) -> None:
    export = commands.add_parser(
        "export",
        help="write a model as ONNX, or a dataset as files of other programs",
        description=(
            "Write a model as ONNX for any batch and image size; the file is kept only if its "
            "logits are those of torch. Or write a dataset as files of other programs, into a "
            "folder that is complete or not there."
        ),
    )
    export.add_argument("source", metavar="SOURCE", help="a model URI or folder, or a dataset")
    about = "; ".join(f"{name}: {kind.about}" for name, kind in EXPORTS.items())
    export.add_argument(
        "--format",
        choices=("onnx", *EXPORTS),
        help=f"onnx is for models (default); for datasets: {about}",
    )
    export.add_argument(
        "-o",
        "--output",
        type=path_name,
        metavar="PATH",
        help="the file for a model (default model.onnx), the folder for a dataset",
    )
    add_force(export)


def _labelled_data(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "-o", "--output", type=path_name, metavar="OUT", help="a folder for tables and pictures"
    )
    add_force(command)
    command.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="for one-class models: a pixel is of the class where its probability is above P",
    )
    command.add_argument(
        "--taxonomy",
        metavar="NAME",
        help="what the labels mean: camvid, cityscapes, … or a YAML file",
    )
    command.add_argument(
        "--layout",
        choices=("folders", "cityscapes", "comma10k"),
        default="folders",
        help="how the folder is organised (default folders: images/ and labels/)",
    )
    command.add_argument(
        "--split", default="val", metavar="NAME", help="for layouts with splits (default val)"
    )
    command.add_argument("--images", metavar="GLOB", help="below DATA, such as images/*.jpg")
    command.add_argument(
        "--labels", metavar="PATTERN", help="below DATA, such as labels/{stem}.png"
    )
    command.add_argument("--mapping", metavar="FILE", help="YAML file of model class: data class")
    command.add_argument(
        "--device", default="auto", metavar="DEVICE", help="auto, cpu or cuda (default auto)"
    )
    command.add_argument(
        "--precision",
        default="auto",
        choices=("auto", "float32", "bfloat16", "float16"),
        help="as model.precision in a job (default auto)",
    )
