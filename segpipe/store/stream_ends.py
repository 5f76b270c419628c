"""Where a stream's earlier shards end, so that a new run goes on from there."""

from __future__ import annotations

from collections import defaultdict

import pyarrow.compute as pc

from segpipe.sources.stream.gaps import Past
from segpipe.store.reading import read_table
from segpipe.store.records import ShardRecord
from segpipe.store.writer import Store


def pasts_of(store: Store, source_ids: tuple[str, ...]) -> dict[str, Past]:
    """The end of each stream's shards, and its last frame's place."""
    found: dict[str, list[ShardRecord]] = defaultdict(list)
    for record in store.records():
        if record.source.source_id in source_ids:
            found[record.source.source_id].append(record)
    return {source_id: _past(store, found[source_id]) for source_id in source_ids}


def _past(store: Store, records: list[ShardRecord]) -> Past:
    end_us = max((r.end_us for r in records), default=0)
    with_frames = [r for r in records if r.frames]
    if not with_frames:
        return Past(end_us)
    last = max(with_frames, key=lambda r: r.end_us)
    rows = read_table(store.path("frames", last.name), ["timestamp", "pts_s"])
    return Past(
        end_us,
        pc.max(rows["timestamp"].cast("int64")).as_py() or 0,
        pc.max(rows["pts_s"]).as_py() or 0.0,
    )
