"""The command that checks a dataset: verify."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from dataclasses import asdict
from itertools import groupby
from typing import TYPE_CHECKING

from segpipe.cli.progress import checking
from segpipe.core.errors import EXIT_OK, ConfigError, DatasetIncomplete
from segpipe.core.text import counted, one_line_text

if TYPE_CHECKING:
    from segpipe.verify.findings import Finding, SourceAccount, VerifyReport
    from segpipe.verify.repair import Repaired

MOST_SHOWN = 20


def verify(args: Namespace) -> int:
    """`segpipe verify`."""
    from segpipe.store.dataset import open_dataset
    from segpipe.verify import verify as check
    from segpipe.verify.repair import repair

    if args.sample < 0:
        raise ConfigError(f"--sample {args.sample}: must be 0 or more")
    compare = args.footage is not None
    dataset = open_dataset(args.dataset, tuple(root for root in args.footage or () if root))
    with checking("verify", args.quiet > 0) as progress:
        repaired = repair(dataset, args.sample, compare, progress.reach) if args.repair else None
        report = (
            repaired.report
            if repaired is not None
            else check(dataset, args.sample, compare, progress.reach)
        )
    if args.json:
        content = _as_json(report) | (
            {}
            if repaired is None
            else {
                "removed": [*repaired.shards, *repaired.files],
                "rebuilt": [*repaired.rebuilt],
                "away": [*repaired.away],
            }
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
    if not removed and not repaired.away and not repaired.rebuilt:
        return ["nothing to repair"]
    lines = [f"made anew: {what}" for what in repaired.rebuilt]
    if not removed and not repaired.away:
        return [*lines, ""]
    lines += [f"removed {what}" for what in removed]
    if repaired.lost_for_good:
        lines.append(
            f"note: {len(repaired.lost_for_good)} of them from live streams, which can't be "
            "recorded again"
        )
    again = (
        "isn't on the disk: its rows can't be made again unless it comes back; failed rows "
        "stand for them now"
    )
    lines += [f"note: {path} {again}" for path in repaired.away[:MOST_SHOWN]]
    if len(repaired.away) > MOST_SHOWN:
        lines.append(f"note: and {len(repaired.away) - MOST_SHOWN} more; segpipe errors lists all")
    return [*lines, "run segpipe run again to fill what is missing", ""]


def _described(report: VerifyReport) -> list[str]:
    sources, failed = report.sources, sum(s.failed for s in report.sources)
    missing = sum(s.missing for s in sources)
    lines = [
        f"{counted(report.frames, 'frame')} in {counted(report.shards, 'shard')} of "
        f"{counted(len(sources), 'source')}, "
        f"{report.size_bytes / 1e6:.1f} MB, read in {report.seconds:.1f} s; "
        f"{counted(report.sampled, 'mask')} counted again",
        f"expected {sum(s.expected for s in sources)}, done {sum(s.done for s in sources)}, "
        f"failed {failed}, missing {missing}",
    ]
    for source in sources:
        lines += _source(source)
    for kind, group in groupby(report.findings, key=lambda f: f.kind):
        lines += _findings(kind, list(group))
    lines.append("")
    if not report.wrong:
        return [
            *lines,
            "every source is accounted for"
            + (f"; {counted(failed, 'frame')} failed: segpipe errors lists them" if failed else ""),
        ]
    return [*lines, "rows are missing, duplicated or wrong: " + _todo(report.wrong)]


def _source(s: SourceAccount) -> list[str]:
    gaps = f", {counted(s.gaps, 'gap')}" if s.gaps else ""
    missing = f", {s.missing} missing" if s.missing else ""
    line = (
        f"  {s.source_id}  {s.kind}  expected {s.expected}, done {s.done}, failed "
        f"{s.failed}{missing}{gaps}  {s.uri}"
    )
    return [
        line,
        *(
            f"    {n} × {reason}"
            for reason, n in sorted(s.reasons.items(), key=lambda pair: -pair[1])[:MOST_SHOWN]
        ),
    ]


def _findings(kind: str, findings: list[Finding]) -> list[str]:
    from segpipe.verify import shown

    more = (
        [f"  and {len(findings) - MOST_SHOWN} more; --json lists all"]
        if len(findings) > MOST_SHOWN
        else []
    )
    return [
        "",
        f"{kind} ({len(findings)})",
        *(f"  {shown(f)}" for f in findings[:MOST_SHOWN]),
        *more,
    ]


def _todo(wrong: tuple[Finding, ...]) -> str:
    repairable = any(f.repairable for f in wrong)
    return (
        "segpipe verify --repair takes out what is damaged, then run segpipe run again"
        if repairable
        else "run segpipe run again; for what has gone from the disk, segpipe verify --repair"
    )
