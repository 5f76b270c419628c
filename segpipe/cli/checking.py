"""Commands that tell of a dataset: errors, report."""

from __future__ import annotations

import csv
import json
import sys
from argparse import Namespace
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from segpipe.cli.outputs import check_files
from segpipe.cli.progress import checking
from segpipe.core.errors import EXIT_OK
from segpipe.core.extras import require
from segpipe.core.text import counted, csv_cell, one_line_text

if TYPE_CHECKING:
    from segpipe.analysis.report.failures import Failure

_FAILURE_COLUMNS = (
    "uri",
    "source_id",
    "what",
    "error_class",
    "count",
    "first_index",
    "last_index",
    "first_pts_s",
    "last_pts_s",
    "attempts",
    "reason",
    "todo",
    "stream",
)


def errors(args: Namespace) -> int:
    """`segpipe errors`."""
    from segpipe.analysis.report.failures import failures_of
    from segpipe.store.dataset import open_dataset

    found = failures_of(open_dataset(args.dataset), args.error_class)
    rows = [asdict(f) for f in found]
    if args.format == "json":
        json.dump(rows, sys.stdout, indent=1)
        print()
    elif args.format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_FAILURE_COLUMNS)
        writer.writerows([csv_cell(row[n]) for n in _FAILURE_COLUMNS] for row in rows)
    else:
        _print_failures(found)
    return EXIT_OK


def _print_failures(found: list[Failure]) -> None:
    for uri, group in groupby(found, key=lambda f: f.uri):
        print(one_line_text(uri))
        for f in group:
            tries = "once" if f.attempts == 1 else f"{f.attempts} times"
            which = "" if f.stream is None else f" of video stream {f.stream}"
            line = f"  {f.count} × {f.what}{which}{_where(f)}, tried {tries}: {f.reason}"
            print(one_line_text(line))
            print(one_line_text(f"    {f.error_class}: {f.todo}"))
    print(counted(sum(f.count for f in found), "failure") if found else "nothing failed")


def _where(f: Failure) -> str:
    """The frames that a group of failures spans."""
    if f.first_index is not None:
        index = (
            str(f.first_index)
            if f.first_index == f.last_index
            else f"{f.first_index} to {f.last_index}"
        )
        return f" ({index})"
    if f.first_pts_s is not None and f.last_pts_s is not None:
        return (
            f" (at {f.first_pts_s:.2f} s)"
            if f.first_pts_s == f.last_pts_s
            else f" ({f.first_pts_s:.2f} s to {f.last_pts_s:.2f} s)"
        )
    return ""


def report(args: Namespace) -> int:
    """`segpipe report`."""
    require("analysis", "segpipe report", modules=("jinja2",))
    from segpipe.analysis.report.page import write_page
    from segpipe.store.dataset import open_dataset
    from segpipe.store.footage_roots import outside

    check_files([args.output], args.force)
    dataset = open_dataset(args.dataset, tuple(args.footage))
    with checking("report", args.quiet > 0) as progress:
        page = write_page(dataset, Path(args.output), on_progress=progress.reach)
    print(f"{one_line_text(args.output)}: {counted(len(page.stills), 'still')}")
    if page.closed and args.quiet < 2:
        sources = counted(len(page.closed), "source")
        said = f"segpipe: footage of {sources} isn't shown: {outside(page.closed[0])}"
        print(one_line_text(said), file=sys.stderr)
    return EXIT_OK
