"""Commands that check a dataset: verify, errors, report."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from argparse import Namespace
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from segpipe.errors import EXIT_OK, ConfigError, DatasetIncomplete
from segpipe.text import one_line_text

if TYPE_CHECKING:
    from segpipe.report.failures import Failure
    from segpipe.verify.findings import Finding, SourceAccount, VerifyReport
    from segpipe.verify.repair import Repaired

MOST_SHOWN = 20


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the commands of this module to the command line."""
    verify = commands.add_parser("verify", help="is all there, once, and right?", description=(
        "Account for every source, and check keys, masks and statistics of the whole dataset. Exit code 8 where rows are missing, "
        "doubled or wrong; failed frames are rows, and no reason."
    ))  # fmt: skip
    verify.add_argument("dataset", metavar="OUT")
    verify.add_argument("--repair", action="store_true", help="take out what is orphaned, half, wrong or doubled")
    verify.add_argument("--footage", action="store_true", help="read the packet index of each video that is there again")
    verify.add_argument(
        "--sample", type=int, default=200, metavar="N", help="masks whose statistics are counted again (default 200)"
    )
    verify.add_argument("--json", action="store_true", help="print JSON")

    errors = commands.add_parser("errors", help="failed frames and sources, and what to do", description=(
        "Failed frames by source and reason. Transient ones may work at another time; permanent ones are in the file."
    ))  # fmt: skip
    errors.add_argument("dataset", metavar="OUT")
    errors.add_argument("--class", dest="error_class", choices=("transient", "permanent"), help="only these")
    errors.add_argument("--format", choices=("table", "csv", "json"), default="table")

    report = commands.add_parser("report", help="the dataset as one HTML page", description=(
        "Sources, class shares, failures, gaps, findings and some stills in one page that needs no other file."
    ))  # fmt: skip
    report.add_argument("dataset", metavar="OUT")
    report.add_argument("-o", "--output", default="report.html", metavar="FILE")


def verify(args: Namespace) -> int:
    """`segpipe verify`."""
    from segpipe.store.dataset import open_dataset
    from segpipe.verify import verify as check
    from segpipe.verify.repair import repair

    if args.sample < 0:
        raise ConfigError(f"--sample {args.sample}: must be 0 or more")
    dataset = open_dataset(args.dataset)
    repaired = repair(dataset, args.sample, args.footage) if args.repair else None
    report = repaired.report if repaired is not None else check(dataset, args.sample, args.footage)
    if args.json:
        content = _as_json(report) | (
            {} if repaired is None else {"removed": [*repaired.shards, *repaired.files], "away": [*repaired.away]}
        )
        json.dump(content, sys.stdout, indent=1)
        print()
    else:
        for line in [*_repaired(repaired), *_described(report)]:
            print(one_line_text(line))
    return DatasetIncomplete.exit_code if report.wrong else EXIT_OK


def _as_json(report: VerifyReport) -> dict[str, object]:
    return {
        "complete": not report.wrong,
        **{n: getattr(report, n) for n in ("frames", "shards", "sampled", "size_bytes", "seconds")},
        "sources": [asdict(s) | {"missing": s.missing} for s in report.sources],
        "findings": [asdict(f) | {"wrong": f.is_wrong} for f in report.findings],
    }


def _repaired(repaired: Repaired | None) -> list[str]:
    if repaired is None:
        return []
    removed = [*(f"shard {s}" for s in repaired.shards), *repaired.files]
    if not removed and not repaired.away:
        return ["nothing to repair"]
    lines = [f"removed {what}" for what in removed]
    if repaired.lost_for_good:
        lines.append(f"note: {len(repaired.lost_for_good)} of them were of live streams, which can't be recorded again")
    again = "isn't on the disk: its rows can't be made again unless it comes back; failed rows stand for them now"
    lines += [f"note: {path} {again}" for path in repaired.away[:MOST_SHOWN]]
    if len(repaired.away) > MOST_SHOWN:
        lines.append(f"note: and {len(repaired.away) - MOST_SHOWN} more; segpipe errors lists all")
    return [*lines, "run segpipe run again to fill what is missing", ""]


def _described(report: VerifyReport) -> list[str]:
    sources, failed = report.sources, sum(s.failed for s in report.sources)
    missing = sum(s.missing for s in sources)
    lines = [
        f"{report.frames} frames in {report.shards} shards of {len(sources)} sources, {report.size_bytes / 1e6:.1f} MB, "
        f"read in {report.seconds:.1f} s; {report.sampled} masks counted again",
        f"expected {sum(s.expected for s in sources)}, done {sum(s.done for s in sources)}, failed {failed}, missing {missing}",
    ]
    for source in sources:
        lines += _source(source)
    for kind, group in groupby(report.findings, key=lambda f: f.kind):
        lines += _findings(kind, list(group))
    lines.append("")
    if not report.wrong:
        return [
            *lines,
            "every source is accounted for" + (f"; {failed} frames failed: segpipe errors lists them" if failed else ""),
        ]
    return [*lines, "rows are missing, doubled or wrong: " + _todo(report.wrong)]


def _source(s: SourceAccount) -> list[str]:
    gaps = f", {s.gaps} gaps" if s.gaps else ""
    missing = f", {s.missing} missing" if s.missing else ""
    line = f"  {s.source_id}  {s.kind}  expected {s.expected}, done {s.done}, failed {s.failed}{missing}{gaps}  {s.uri}"
    return [line, *(f"    {n} × {reason}" for reason, n in sorted(s.reasons.items(), key=lambda pair: -pair[1])[:MOST_SHOWN])]


def _findings(kind: str, findings: list[Finding]) -> list[str]:
    from segpipe.verify import shown

    more = [f"  and {len(findings) - MOST_SHOWN} more; --json lists all"] if len(findings) > MOST_SHOWN else []
    return ["", f"{kind} ({len(findings)})", *(f"  {shown(f)}" for f in findings[:MOST_SHOWN]), *more]


def _todo(wrong: tuple[Finding, ...]) -> str:
    repairable = any(f.repairable for f in wrong)
    return (
        "segpipe verify --repair takes out what is damaged, then run segpipe run again"
        if repairable
        else "run segpipe run again; for what has gone from the disk, segpipe verify --repair"
    )


def errors(args: Namespace) -> int:
    """`segpipe errors`."""
    from segpipe.report.failures import failures_of
    from segpipe.store.dataset import open_dataset

    found = failures_of(open_dataset(args.dataset), args.error_class)
    rows = [asdict(f) for f in found]
    if args.format == "json":
        json.dump(rows, sys.stdout, indent=1)
        print()
    elif args.format == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(_FAILURE_COLUMNS)
        writer.writerows([row[n] for n in _FAILURE_COLUMNS] for row in rows)
    else:
        for uri, group in groupby(found, key=lambda f: f.uri):
            print(one_line_text(uri))
            for f in group:
                tries = "once" if f.attempts == 1 else f"{f.attempts} times"
                print(one_line_text(f"  {f.count} × {f.what}{_where(f)}, tried {tries}: {f.reason}"))
                print(one_line_text(f"    {f.error_class}: {f.todo}"))
        print(f"{sum(f.count for f in found)} failures" if found else "nothing failed")
    return EXIT_OK


_FAILURE_COLUMNS = (
    "uri", "source_id", "what", "error_class", "count", "first_index", "last_index", "first_pts_s", "last_pts_s", "attempts",
    "reason", "todo",
)  # fmt: skip


def _where(f: Failure) -> str:
    """The frames that a group of failures spans."""
    if f.first_index is not None:
        index = str(f.first_index) if f.first_index == f.last_index else f"{f.first_index} to {f.last_index}"
        return f" ({index})"
    if f.first_pts_s is not None and f.last_pts_s is not None:
        return (
            f" (at {f.first_pts_s:.2f} s)" if f.first_pts_s == f.last_pts_s else f" ({f.first_pts_s:.2f} s to {f.last_pts_s:.2f} s)"
        )
    return ""


def report(args: Namespace) -> int:
    """`segpipe report`."""
    from segpipe.report.page import write_page
    from segpipe.store.dataset import open_dataset

    stills = write_page(open_dataset(args.dataset), Path(args.output))
    print(f"{one_line_text(args.output)}: {stills} stills")
    return EXIT_OK
