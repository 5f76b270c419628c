"""A video's shards against its packet index as it was when they were planned."""

from __future__ import annotations

import itertools

from segpipe.core.text import counted
from segpipe.store.records import ShardRecord
from segpipe.verify.findings import DUPLICATED, MISSING, WRONG_ROWS, Finding


def expected_of(records: list[ShardRecord]) -> int:
    """Wanted frames of a video by its packet index, and a row for each part that couldn't be read
    at all."""
    ranges = [r for r in records if r.stop]
    return max((r.expected for r in ranges), default=0) + (len(records) - len(ranges))


def check_video(records: list[ShardRecord], rows: int, duplicated: set[str]) -> list[Finding]:
    """What is wrong with the shards of a video of which `rows` rows are there; the shards of
    `duplicated` are told of already."""
    source_id, ranges = (
        records[0].source.source_id,
        sorted((r for r in records if r.stop), key=lambda r: r.start),
    )
    expected, siblings = expected_of(records), max(r.siblings for r in records)
    found = []
    for a, b in itertools.pairwise(r for r in ranges if r.name not in duplicated):
        if b.start < a.stop:
            said = (
                f"holds frames {b.start} to {b.stop} of the packet index, and {a.name} those "
                f"from {a.start} to {a.stop}"
            )
            found.append(Finding(DUPLICATED, "frames", b.name, source_id, said, True))
    for name, values in (
        ("shards", {r.siblings for r in records}),
        ("expected frames", {r.expected for r in ranges}),
    ):
        if len(values) > 1:
            said = (
                f"its shards disagree on the number of {name}: "
                f"{', '.join(map(str, sorted(values)))}; segpipe run plans it anew"
            )
            found.append(Finding(WRONG_ROWS, "", "", source_id, said))
    if rows < expected or len(records) < siblings:
        frames, shards = counted(expected, "frame"), counted(siblings, "shard")
        said = f"no row for {expected - rows} of {frames}; {len(records)} of {shards} present"
        found.append(Finding(MISSING, "", "", source_id, said + _holes(ranges)))
    elif rows > expected and not found:
        said = f"{counted(rows, 'row')}; expected: {counted(expected, 'frame')}"
        found.append(Finding(DUPLICATED, "", "", source_id, said))
    return found


def _holes(ranges: list[ShardRecord]) -> str:
    """Which parts of the packet index no shard covers."""
    ends = [0, *(r.stop for r in ranges)]
    starts = [r.start for r in ranges]
    holes = [f"{a} to {b}" for a, b in zip(ends, starts, strict=False) if b > a]
    last = f"from {ends[-1]} on, if there is more" if ranges else ""
    shown = ", ".join(holes[:5]) + (f" and {len(holes) - 5} more" if len(holes) > 5 else "")
    return f" (no shard: {shown or last})" if shown or last else ""
