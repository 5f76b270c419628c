"""The command line. Each command imports what it needs when it runs, so that help comes at once."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from importlib import import_module

from segpipe import __version__
from segpipe.errors import EXIT_INTERRUPTED, SegpipeError

_EXITS = """exit codes:
  0 done   1 a shard or something unexpected failed   2 wrong usage or config   3 input missing or unreadable
  4 model   5 dataset   6 done, but some frames failed (rows with status 'error')
  7 training   130 interrupted"""


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top = argparse.ArgumentParser(
        "segpipe",
        description="Footage in, Parquet out: masks and class statistics of images and dashcam clips.",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"segpipe {__version__}")
    top.add_argument("--debug", action="store_true", help="show tracebacks and debug messages")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="segment footage into a dataset", description=(
        "Segment images and videos into a Parquet dataset. Running it again does only what is new."
    ))  # fmt: skip
    run.add_argument("inputs", nargs="*", metavar="INPUT", help="image files, folders, video files, globs")
    run.add_argument("-o", "--output", metavar="OUT", help="the dataset's folder")
    run.add_argument("-c", "--config", metavar="FILE", help="a YAML job, such as configs/dashcam.yaml")
    run.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="over the config, such as sampling.every_n=5")
    run.add_argument("--replace", action="store_true", help="throw away a dataset that was made with other settings")
    run.add_argument("--retry-failed", action="store_true", help="do shards with failed frames again")
    run.add_argument("-q", "--quiet", action="store_true", help="no progress bar")

    query = commands.add_parser("query", help="SQL over a dataset", description=(
        "DuckDB SQL with the views frames, class_stats and masks."
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

    commands.add_parser("models", help="which models can be loaded")

    bench = commands.add_parser("bench", help="decode, model and write alone, the whole pipeline, and its share of the limit")
    bench.add_argument("input", metavar="INPUT", help="a video or a folder")
    bench.add_argument("-c", "--config", metavar="FILE")
    bench.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    bench.add_argument("--frames", type=int, default=120, help="frames to measure (at most; default 120)")
    bench.add_argument("--rounds", type=int, default=3, help="rounds of all measurements; the medians count (default 3)")
    bench.add_argument("--json", action="store_true", help="print JSON")
    return top


_MODULES = {"run": "running", "bench": "running", "models": "running", "sample": "running"}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit code. An error of ours is one line; a traceback means a bug in segpipe."""
    args = parser().parse_args(arguments)
    logging.basicConfig(level=logging.DEBUG if args.debug else logging.WARNING, format="segpipe: %(message)s")
    if not args.debug:
        logging.getLogger("numba").setLevel(logging.WARNING)
    try:
        module = import_module(f"segpipe.cli.{_MODULES.get(args.command, 'reading')}")
        return int(getattr(module, args.command)(args))
    except SegpipeError as error:
        if args.debug:
            raise
        print(f"segpipe: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("segpipe: interrupted; run the same command again to go on", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `segpipe query … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
