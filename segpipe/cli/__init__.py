"""The command line. Each command imports what it needs when it runs, so that help comes at once."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import traceback
from importlib import import_module
from types import TracebackType
from typing import NoReturn

from segpipe import __version__
from segpipe.cli import analysing, checking
from segpipe.errors import EXIT_INTERRUPTED, SegpipeError
from segpipe.secrets import redact

_EXITS = """exit codes:
  0 done   1 a shard or something unexpected failed   2 wrong usage or config   3 input missing or unreadable
  4 model   5 dataset   6 done, but some frames failed (rows with status 'error')
  7 training   8 rows missing, doubled or wrong (verify)   130 interrupted (Ctrl-C)   143 stopped (SIGTERM)"""


class _Parser(argparse.ArgumentParser):
    """What it says of a wrong command line may quote a URL."""

    def error(self, message: str) -> NoReturn:
        super().error(redact(message))


def _tell(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A traceback, as Python prints it, without the secrets of URLs."""
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top: argparse.ArgumentParser = _Parser(
        "segpipe",
        description="Footage in, Parquet out: masks and class statistics of images and dashcam clips.",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"segpipe {__version__}")
    top.add_argument("--debug", action="store_true", help="show tracebacks and debug messages")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    _run(commands)
    query = commands.add_parser("query", help="SQL over a dataset", description=(
        "DuckDB SQL with the views frames, class_stats, masks, gaps, sources, tracks, classes, common_stats, observations and "
        "frame_metres; docs/queries.md is a cookbook."
    ))  # fmt: skip
    query.add_argument("dataset", metavar="OUT")
    query.add_argument("sql", metavar="SQL")
    query.add_argument("--format", choices=("table", "csv", "json"), default="table")

    info = commands.add_parser("info", help="what a dataset holds")
    info.add_argument("dataset", metavar="OUT")

    overlay = commands.add_parser("overlay", help="the footage with its masks as a video")
    overlay.add_argument("dataset", metavar="OUT")
    overlay.add_argument("--source", metavar="ID", help="which source (segpipe info lists them); the first one without")
    overlay.add_argument("-o", "--output", default="overlay.mp4", metavar="FILE")

    sample = commands.add_parser("sample", help="render the sample drive: video, true labels, GPX track")
    sample.add_argument("folder", metavar="DIR")
    sample.add_argument("--seconds", type=float, default=20.0)
    sample.add_argument("--images", action="store_true", help="each frame as a JPEG too, to train on: images/ beside labels/")

    commands.add_parser("models", help="which models can be loaded")

    bench = commands.add_parser("bench", help="decode, model and write alone, the whole pipeline, and its share of the limit")
    bench.add_argument("input", metavar="INPUT", help="a video or a folder")
    bench.add_argument("-c", "--config", metavar="FILE")
    bench.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    bench.add_argument("--frames", type=int, default=120, help="frames to measure (at most; default 120)")
    bench.add_argument("--rounds", type=int, default=3, help="rounds of all measurements; the medians count (default 3)")
    bench.add_argument("--json", action="store_true", help="print JSON")
    analysing.add_commands(commands)
    checking.add_commands(commands)
    _models(commands)
    return top


def _run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command that segments."""
    run = commands.add_parser("run", help="segment footage into a dataset", description=(
        "Segment images, videos or live streams into a Parquet dataset. Running it again does only what is new."
    ))  # fmt: skip
    run.add_argument(
        "inputs", nargs="*", metavar="INPUT", help="image files, folders, video files, globs; or streams: URLs, /dev/video0"
    )
    run.add_argument("-o", "--output", metavar="OUT", help="the dataset's folder")
    run.add_argument("-c", "--config", metavar="FILE", help="a YAML job, such as configs/dashcam.yaml")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="over the config, such as sampling.every_n=5")
    run.add_argument("--track", action="append", default=[], metavar="FILE", help="GPX, NMEA or CSV of the drive, over track.files")
    run.add_argument("--start", metavar="TIME", help="when the one video begins, such as 2026-05-01T10:00:00Z")
    run.add_argument("--timezone", metavar="ZONE", help="of clocks that don't say theirs, such as Europe/London")
    run.add_argument("--duration", metavar="TIME", help="how long to record streams, such as 90s, 30m, 8h; without: until stopped")
    run.add_argument("--until", metavar="TIME", help="when to stop recording streams, such as 2026-05-01T18:00:00Z")
    run.add_argument("--replace", action="store_true", help="throw away a dataset that was made with other settings")
    run.add_argument("--retry-failed", action="store_true", help="do shards with failed frames again")
    run.add_argument("--max-memory", metavar="SIZE", help="bounds the queues between the stages, such as 500MB")
    run.add_argument("-q", "--quiet", action="store_true", help="no progress bar")


def _models(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands around models."""
    train = commands.add_parser("train", help="train a model on labelled images", description=(
        "Train a segmentation model. A run that was stopped goes on when the same command is given again."
    ))  # fmt: skip
    train.add_argument("-c", "--config", required=True, metavar="FILE", help="a YAML job, such as configs/train-camvid.yaml")
    train.add_argument("-o", "--output", metavar="OUT", help="the run's folder, over the config's")
    train.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="over the config, such as schedule.epochs=20"
    )
    train.add_argument("--fresh", action="store_true", help="throw away the run in OUT and start again")
    train.add_argument("-q", "--quiet", action="store_true", help="no progress bar")

    evaluate = commands.add_parser("evaluate", help="measure a model on labelled images", description=(
        "Mean IoU, IoU and boundary F1 of each class, accuracy, calibration; with -o tables, confusion matrix, worst images."
    ))  # fmt: skip
    evaluate.add_argument("model", metavar="MODEL", help="a model URI (segpipe models) or a folder that segpipe train wrote")
    evaluate.add_argument("data", metavar="DATA", help="folder with images/ and labels/, or what --layout says, or a sample drive")
    evaluate.add_argument("--worst", type=int, default=8, metavar="N", help="pictures of the N worst images (default 8)")

    compare = commands.add_parser("compare", help="models side by side: accuracy, speed, size")
    compare.add_argument("models", nargs="+", metavar="MODEL")
    compare.add_argument("data", metavar="DATA")
    compare.add_argument("--rounds", type=int, default=3, help="rounds of the speed measurement; the medians count (default 3)")
    for command in (evaluate, compare):
        _labelled_data(command)

    export = commands.add_parser("export", help="a model as ONNX, checked against torch")
    export.add_argument("model", metavar="MODEL")
    export.add_argument("-o", "--output", default="model.onnx", metavar="FILE")


def _labelled_data(command: argparse.ArgumentParser) -> None:
    command.add_argument("-o", "--output", metavar="OUT", help="a folder for tables and pictures")
    command.add_argument("--taxonomy", metavar="NAME", help="what the labels mean: camvid, cityscapes, … or a YAML file")
    command.add_argument(
        "--layout", choices=("folders", "cityscapes", "comma10k"), default="folders", help="where images and labels lie"
    )
    command.add_argument("--split", default="val", help="for layouts with splits (default val)")
    command.add_argument("--images", metavar="GLOB", help="below DATA, such as images/*.jpg")
    command.add_argument("--labels", metavar="PATTERN", help="below DATA, such as labels/{stem}.png")
    command.add_argument("--mapping", metavar="FILE", help="YAML: class of the model to class of the data")
    command.add_argument("--device", default="auto")
    command.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16", "float16"))
    command.add_argument("-q", "--quiet", action="store_true", help="no progress bar")


_MODULES = {
    "run": "running", "bench": "running", "models": "running", "sample": "running",
    "events": "analysing", "aggregate": "analysing", "diff": "analysing",
    "verify": "checking", "errors": "checking", "report": "checking",
    "train": "training", "evaluate": "training", "compare": "training", "export": "training",
}  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit code. An error of ours is one line; a traceback means a bug in segpipe."""
    args = parser().parse_args(arguments)
    sys.excepthook = _tell
    logging.basicConfig(level=logging.DEBUG if args.debug else logging.WARNING, format="segpipe: %(message)s")
    if not args.debug:
        logging.getLogger("numba").setLevel(logging.WARNING)
    try:
        module = import_module(f"segpipe.cli.{_MODULES.get(args.command, 'reading')}")
        return int(getattr(module, args.command)(args))
    except SegpipeError as error:
        if args.debug:
            _tell(type(error), error, error.__traceback__)
        else:
            print(f"segpipe: {redact(str(error))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("segpipe: interrupted; run the same command again to go on", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `segpipe query … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
