"""The arguments of the commands that show and check a dataset."""

from __future__ import annotations

import argparse

from segpipe.cli.arguments import Commands
from segpipe.cli.outputs import add_dataset, add_footage, add_force, add_format, path_name


def add_reading(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the commands that show what a dataset holds."""
    query = commands.add_parser(
        "query",
        help="run SQL over a dataset",
        description=(
            "Run DuckDB SQL that only reads. The views: frames, class_stats, class_shares, "
            "masks, gaps, sources, tracks, classes, regions, common_stats, observations and "
            "frame_metres. docs/queries.md is a cookbook."
        ),
    )
    add_dataset(query)
    query.add_argument("sql", metavar="SQL", help="one or more statements that read")
    query.add_argument(
        "--allow-files",
        action="store_true",
        help="run any statement, which may read and write files as you may: only for SQL that you "
        "wrote or read",
    )
    add_format(query)

    info = commands.add_parser(
        "info",
        help="show what a dataset holds",
        description=(
            "Print the sources with their clocks, tracks, drives and ego masks, and the frames, "
            "failures, classes, model and size."
        ),
    )
    add_dataset(info)
    _add_overlay(commands)


def _add_overlay(commands: Commands[argparse.ArgumentParser]) -> None:
    overlay = commands.add_parser(
        "overlay",
        help="write the footage with its masks as a video",
        description=(
            "Write the footage of one source with its masks and a legend as an H.264 video."
        ),
    )
    add_dataset(overlay)
    overlay.add_argument(
        "--source",
        metavar="ID",
        help="the source to show, as segpipe info lists them (default: the first)",
    )
    overlay.add_argument(
        "-o",
        "--output",
        type=path_name,
        default="overlay.mp4",
        metavar="FILE",
        help="the video to write (default overlay.mp4)",
    )
    add_footage(overlay)
    add_force(overlay)


def add_checking(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the commands that check a dataset."""
    _add_verify(commands)
    _add_migrate(commands)
    errors = commands.add_parser(
        "errors",
        help="list failed frames and sources, and what to do",
        description=(
            "List failed frames by source and reason. Transient failures may succeed in another "
            "run; permanent ones are faults of the file."
        ),
    )
    add_dataset(errors)
    errors.add_argument(
        "--class", dest="error_class", choices=("transient", "permanent"), help="list only these"
    )
    add_format(errors)

    report = commands.add_parser(
        "report",
        help="write the dataset as one HTML page",
        description=(
            "Write sources, class shares, failures, gaps, findings and some stills as one page "
            "that needs no other file."
        ),
    )
    add_dataset(report)
    report.add_argument(
        "-o",
        "--output",
        type=path_name,
        default="report.html",
        metavar="FILE",
        help="the page to write (default report.html)",
    )
    add_footage(report)
    add_force(report)


def _add_migrate(commands: Commands[argparse.ArgumentParser]) -> None:
    migrate = commands.add_parser(
        "migrate",
        help="bring a dataset of an earlier version to the present schema",
        description=(
            "Rewrite a dataset of schema version 3 or 4 to the present one, without inference. "
            "Sources get ids by their content where the footage is still there; a run over it "
            "then does nothing again. The new dataset is made beside the old one and takes its "
            "place when it is whole; a migration that was killed is gone on with."
        ),
    )
    migrate.add_argument("dataset", metavar="OUT", help="the dataset: a folder")


def _add_verify(commands: Commands[argparse.ArgumentParser]) -> None:
    verify = commands.add_parser(
        "verify",
        help="check that nothing is missing, duplicated or wrong",
        description=(
            "Account for every source, and check keys, masks and statistics of the whole "
            "dataset. The exit code is 8 if rows are missing, duplicated or wrong. Failed frames "
            "have rows of their own and don't count as missing."
        ),
    )
    add_dataset(verify)
    verify.add_argument(
        "--repair",
        action="store_true",
        help="remove shards and files that are orphaned, incomplete, wrong or duplicated",
    )
    verify.add_argument(
        "--footage",
        action="append",
        nargs="?",
        const="",
        metavar="ROOT",
        help="read the packet index of each video again, and name the files beside the footage "
        "that segpipe doesn't read; with ROOT, look below it for footage that has moved (may be "
        "given several times)",
    )
    verify.add_argument(
        "--sample",
        type=int,
        default=200,
        metavar="N",
        help="number of masks whose statistics are counted again (default 200)",
    )
    verify.add_argument("--json", action="store_true", help="print JSON")
