"""A live stream's shards and gaps: in order of time, without overlap, and without a hole that
nothing explains."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime

import pyarrow.compute as pc

from segpipe.runtime.files.paths import AnyPath
from segpipe.store.reading import parquet_file, read_groups
from segpipe.store.records import ShardRecord
from segpipe.verify.findings import MISSING, WRONG_ROWS, Finding
from segpipe.verify.frames import ints
from segpipe.verify.opened import check_schema

MOST_HOLE_US = 5_000_000
"""Pauses below a second or three frames are no gaps, and between two shards lies the time of a
frame: this is more than both."""
MOST_OVERLAP_US = 500_000
Span = tuple[int, int]


def read_gaps(path: AnyPath) -> list[tuple[str, Span]]:
    """Source and time (UTC, microseconds) of each row of a `gaps` file, those of lag apart, which
    explain no hole: the camera was there. Raises what a damaged file makes Arrow raise."""
    with parquet_file(path) as file:
        said = check_schema(file, "gaps")
        if said:
            raise ValueError(said)
        table = read_groups(file, None, ["source_id", "kind", "start_time", "stop"])
    table = table.filter(pc.not_equal(table["kind"], "lag")).combine_chunks()
    if not table.num_rows:
        return []
    spans = zip(
        *(ints(table[n].chunk(0).cast("int64")).tolist() for n in ("start_time", "stop")),
        strict=True,
    )
    return list(zip(table["source_id"].to_pylist(), spans, strict=True))


def check_stream(records: list[ShardRecord], gaps: Iterable[Span]) -> list[Finding]:
    """What is wrong with the times of a stream's shards."""
    source_id = records[0].source.source_id
    shards = sorted((r for r in records if r.end_us > r.begin_us), key=lambda r: r.begin_us)
    found = []
    for a, b in itertools.pairwise(shards):
        if b.begin_us < a.end_us - MOST_OVERLAP_US:
            said = f"begins at {_iso(b.begin_us)}, before {a.name} ends at {_iso(a.end_us)}"
            found.append(Finding(WRONG_ROWS, "frames", b.name, source_id, said))
    for begin, end in holes([*((r.begin_us, r.end_us) for r in shards), *gaps]):
        said = (
            f"nothing from {_iso(begin)} to {_iso(end)} ({(end - begin) / 1e6:.1f} s): no "
            "shard, and no gap that says why"
        )
        found.append(Finding(MISSING, "", "", source_id, said))
    return found


def holes(spans: list[Span]) -> list[Span]:
    """Times between the first and the last span that none of them covers, where they are longer
    than a reader's pauses."""
    found = []
    reached = None
    for begin, end in sorted(spans):
        if reached is not None and begin - reached > MOST_HOLE_US:
            found.append((reached, begin))
        reached = end if reached is None else max(reached, end)
    return found


def _iso(time_us: int) -> str:
    return (
        datetime.fromtimestamp(time_us / 1e6, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )
