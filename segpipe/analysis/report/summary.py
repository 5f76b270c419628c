"""Numbers as text: what a run came to, and what a dataset holds."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from segpipe.core.text import counted
from segpipe.pipeline.live.counts import StreamReport
from segpipe.pipeline.reports import RunReport
from segpipe.runtime.files.listing import size_bytes
from segpipe.store.dataset import Dataset

NOTE = "note: "
"""What a line about a source begins with that somebody should read."""


@dataclass(frozen=True, slots=True)
class SourceSummary:
    """One source of a dataset."""

    source_id: str
    kind: str
    uri: str
    frames: int
    failed: int


def sources_of(dataset: Dataset) -> list[SourceSummary]:
    """The sources with their frame counts, in order of their ids."""
    found: dict[str, list[tuple[str, str, int, int]]] = defaultdict(list)
    for r in dataset.records():
        found[r.source.source_id].append((r.source.kind, r.source.uri, r.frames, r.failed))
    return [
        SourceSummary(
            source_id, parts[0][0], parts[0][1], sum(p[2] for p in parts), sum(p[3] for p in parts)
        )
        for source_id, parts in sorted(found.items())
    ]


def size_on_disk(dataset: Dataset) -> int:
    """Bytes of the dataset's files."""
    return size_bytes(dataset.root)


def describe_run(report: RunReport, names: list[str]) -> list[str]:
    """Lines for people: what was done, what limited it, and which classes were seen."""
    if not report.parts and not report.broken:
        return [
            f"nothing new: {counted(report.frames_before, 'frame')} in the dataset already; no "
            "inference was run",
            *_old_failures(report),
            *_notes(report),
        ]
    rate = report.frames / report.wall_s if report.wall_s else 0.0
    before = f", {report.frames_before} done before" if report.frames_before else ""
    lines = [
        f"{counted(report.frames, 'frame')} in {report.wall_s:.1f} s ({rate:.1f} frames/s), "
        f"{report.failed} failed{before}",
        f"busy: read {report.total('read_s'):.1f} s, infer {report.total('infer_s'):.1f} s over "
        f"{counted(report.lanes, 'lane')} on "
        f"{report.device}, write {report.total('write_s'):.1f} s; limited by "
        f"{'the stream' if report.streams else _limit(report)}",
    ]
    lines += [_stream(s) for s in report.streams]
    lines.append(
        f"with a position: {report.placed} of {counted(report.frames, 'frame')}; usable: "
        f"{report.usable}"
    )
    shares = class_shares(report, names)
    if shares:
        lines.append(
            "mean share of the picture: "
            + ", ".join(f"{n} {v * 100:.1f} %" for n, v in shares if v >= 0.0005)
        )
    lines += _old_failures(report)
    return [*lines, *broken_lines(report), *_notes(report)]


def broken_lines(report: RunReport) -> list[str]:
    """A line for each shard or stream that failed."""
    return [
        f"{'stream' if report.streams else 'shard'} {name} failed: {why}"
        for name, why in report.broken.items()
    ]


def all_failed_text(report: RunReport, output: str) -> str:
    """What to say of a run in which every frame failed."""
    frames = "the one frame" if report.frames == 1 else f"all {report.frames} frames"
    return f"{frames} of this run failed; why, and what to do: segpipe errors {output}"


def _stream(report: StreamReport) -> str:
    frames, shards = counted(report.totals.frames, "frame"), counted(report.shards, "shard")
    again, gaps = counted(report.reconnects, "time"), counted(report.gaps, "gap")
    said = f"{report.source_id}: {frames} in {shards}, {report.dropped} dropped on lag"
    return f"{said}; connected again {again}; {gaps} of {report.gap_s:.1f} s in all"


def describe_gaps(dataset: Dataset, source_id: str) -> list[str]:
    """A line about a stream's gaps, none where it has none."""
    table = dataset.arrow("gaps")
    rows = [r for r in table.to_pylist() if r["source_id"] == source_id]
    if not rows:
        return []
    away = [r for r in rows if r["kind"] != "lag"]
    kinds = Counter(r["kind"] for r in away)
    dropped = sum(r["frames_dropped"] or 0 for r in rows)
    by_kind = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items())) or "none"
    return [
        f"gaps:  {sum(r['duration_s'] for r in away):.1f} s in all ({by_kind}); "
        f"{counted(dropped, 'frame')} dropped on lag"
    ]


def _notes(report: RunReport, most: int = 12) -> list[str]:
    more = (
        [f"{NOTE}and {len(report.notes) - most} more; segpipe info shows them"]
        if len(report.notes) > most
        else []
    )
    return [f"{NOTE}{n}" for n in report.notes[:most]] + more


def _old_failures(report: RunReport) -> list[str]:
    if not report.failed_before:
        return []
    frames = counted(report.frames_before, "frame")
    return [f"failed before: {report.failed_before} of {frames}; --retry-failed tries again"]


def class_shares(report: RunReport, names: list[str]) -> list[tuple[str, float]]:
    """Each class's mean share of the picture over the frames of the run, the largest first."""
    shares = report.mean_shares()
    return sorted(zip(names, shares, strict=bool(shares)), key=lambda pair: -pair[1])


def _limit(report: RunReport) -> str:
    stages = {
        "reading": report.total("read_s"),
        "inference": report.total("infer_s") / report.lanes,
        "writing": report.total("write_s"),
    }
    return max(stages, key=lambda name: stages[name])
