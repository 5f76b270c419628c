"""Numbers as text: what a run came to, and what a dataset holds."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass

from segpipe.live.counts import StreamReport
from segpipe.run_report import RunReport
from segpipe.store.dataset import Dataset
from segpipe.store.places import size_bytes

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
        SourceSummary(source_id, parts[0][0], parts[0][1], sum(p[2] for p in parts), sum(p[3] for p in parts))
        for source_id, parts in sorted(found.items())
    ]


def size_on_disk(dataset: Dataset) -> int:
    """Bytes of the dataset's files."""
    return size_bytes(dataset.root)


def describe_run(report: RunReport, names: list[str]) -> list[str]:
    """Lines for people: what was done, what limited it, and which classes were seen."""
    if not report.shards and not report.broken:
        return [
            f"nothing new: all {report.frames_before} frames were done before; no inference was run",
            *_old_failures(report),
            *_notes(report),
        ]
    rate = report.frames / report.wall_s if report.wall_s else 0.0
    before = f", {report.frames_before} were done before" if report.frames_before else ""
    lines = [
        f"{report.frames} frames in {report.wall_s:.1f} s ({rate:.1f} frames/s), {report.failed} failed{before}",
        f"busy: read {report.total('read_s'):.1f} s, infer {report.total('infer_s'):.1f} s over {report.lanes} lanes on "
        f"{report.device}, write {report.total('write_s'):.1f} s; limited by {'the stream' if report.streams else _limit(report)}",
    ]
    lines += [_stream(s) for s in report.streams]
    lines.append(f"with a position: {report.placed} of {report.frames} frames; usable: {report.usable}")
    shares = class_shares(report, names)
    if shares:
        lines.append("share of pixels: " + ", ".join(f"{n} {v * 100:.1f} %" for n, v in shares if v >= 0.0005))
    lines += _old_failures(report)
    return [
        *lines,
        *(f"{'stream' if report.streams else 'shard'} {name} failed: {why}" for name, why in report.broken.items()),
        *_notes(report),
    ]


def _stream(report: StreamReport) -> str:
    said = f"{report.totals.source_id}: {report.totals.frames} frames in {report.shards} shards, {report.dropped} dropped on lag"
    return f"{said}; connected again {report.reconnects} times; {report.gaps} gaps of {report.gap_s:.1f} s in all"


def describe_gaps(dataset: Dataset, source_id: str) -> list[str]:
    """A line about a stream's gaps, none where it has none."""
    table = dataset.arrow("gaps")
    rows = [r for r in table.to_pylist() if r["source_id"] == source_id]
    if not rows:
        return []
    away = [r for r in rows if r["kind"] != "lag"]
    kinds = Counter(r["kind"] for r in away)
    dropped = sum(r["frames_dropped"] or 0 for r in rows)
    counted = ", ".join(f"{kind} {n}" for kind, n in sorted(kinds.items())) or "none"
    return [f"gaps:  {sum(r['duration_s'] for r in away):.1f} s in all ({counted}); {dropped} frames dropped on lag"]


def _notes(report: RunReport, most: int = 12) -> list[str]:
    more = [f"{NOTE}and {len(report.notes) - most} more; segpipe info shows them"] if len(report.notes) > most else []
    return [f"{NOTE}{n}" for n in report.notes[:most]] + more


def _old_failures(report: RunReport) -> list[str]:
    if not report.failed_before:
        return []
    return [f"{report.failed_before} of the frames done before had failed; --retry-failed tries them again"]


def class_shares(report: RunReport, names: list[str]) -> list[tuple[str, float]]:
    """Each class's share of all pixels of the run, the largest first."""
    pixels = report.pixels()
    total = sum(pixels)
    if not total:
        return []
    return sorted(((n, p / total) for n, p in zip(names, pixels, strict=True)), key=lambda pair: -pair[1])


def _limit(report: RunReport) -> str:
    stages = {
        "reading": report.total("read_s"),
        "inference": report.total("infer_s") / report.lanes,
        "writing": report.total("write_s"),
    }
    return max(stages, key=lambda name: stages[name])
