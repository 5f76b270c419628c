"""A run and a verification as rows of plain text, for an orchestrator's tables: names and errors
may hold anything."""

from __future__ import annotations

from segpipe.analysis.report.summary import class_shares
from segpipe.core.redact import redact
from segpipe.core.text import one_line_text
from segpipe.pipeline.reports import RunReport
from segpipe.verify import VerifyReport, shown

MOST_FINDINGS = 100


def summary_rows(report: RunReport, names: list[str]) -> list[dict[str, str]]:
    """What a run came to; `names` are those of the classes."""
    found = [
        ("frames", str(report.frames)),
        ("failed", str(report.failed)),
        ("with a position", str(report.placed)),
        ("usable", str(report.usable)),
        *((f"gaps of {s.source_id}", f"{s.gaps}, {s.gap_s:.1f} s in all") for s in report.streams),
        ("done before", str(report.frames_before)),
        ("seconds", f"{report.wall_s:.1f}"),
        *((stage, f"{report.total(stage):.1f}") for stage in ("read_s", "infer_s", "write_s")),
        *(
            (f"share of {name}", f"{value * 100:.1f} %")
            for name, value in class_shares(report, names)
        ),
        *((f"failed shard {name}", why) for name, why in report.broken.items()),
        *(("note", note) for note in report.notes),
    ]
    return _plain(found)


def verify_rows(report: VerifyReport) -> list[dict[str, str]]:
    """Sums over the sources, and what was found."""
    sums = [
        (f"frames {n}", sum(getattr(s, n) for s in report.sources))
        for n in ("expected", "done", "failed", "missing")
    ]
    found = [("sources", str(len(report.sources))), *((n, str(value)) for n, value in sums)]
    return _plain(found + [(f.kind, shown(f)) for f in report.findings[:MOST_FINDINGS]])


def _plain(found: list[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"what": what, "value": one_line_text(redact(value))} for what, value in found]
