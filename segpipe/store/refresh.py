"""Shards updated without inference: when a source's clock or track has changed since its
shards were written, or the video has other shards besides them, their `frames` files are written
anew, and nothing else."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from segpipe.core.types import FrameRef, Shard
from segpipe.runtime.files.atomic import atomic_write
from segpipe.sources import source_of
from segpipe.store.geo import Bounds
from segpipe.store.lock import check_held
from segpipe.store.reading import read_table
from segpipe.store.records import ShardRecord
from segpipe.store.rows import PlaceDigest, place_columns
from segpipe.store.schema import FRAMES
from segpipe.store.table_files import ROWS_AT_ONCE, describe_frames, table_writer
from segpipe.store.writer import Store
from segpipe.telemetry.locate import Locator
from segpipe.telemetry.photos import Place

log = logging.getLogger(__name__)
_NOWHERE = FrameRef("", "", "")


def refresh_shard(store: Store, record: ShardRecord, locator: Locator) -> ShardRecord | None:
    """Update a shard whose source's facts have changed; the record as it is now, or None where
    its rows are right already.

    A shard is updated whole or not at all. One that a killed run didn't reach is updated by the
    next.
    """
    if locator.facts is None or record.facts == locator.facts.digest():
        return None
    table = read_table(store.path("frames", record.name))
    columns = _columns(table, record, locator)
    places = _digest(columns)
    if places == record.places:
        return None
    log.info("%s: times and positions are updated", record.name)
    record = replace(record, facts=locator.facts.digest(), places=places)
    _publish(store, _placed(table, columns), record)
    return record


def places_hold(table: pa.Table, record: ShardRecord, locator: Locator) -> bool:
    """Whether the rows of a `frames` file have the times and positions that their source's facts
    give them."""
    return _digest(_columns(table, record, locator)) == record.places


def refresh_plan(store: Store, record: ShardRecord, planned: Shard) -> ShardRecord:
    """Bring what a shard says of its whole video up to date with a new plan in which it stays; the
    record as it is now."""
    if (record.siblings, record.expected) == (planned.siblings, planned.expected):
        return record
    record = replace(record, siblings=planned.siblings, expected=planned.expected)
    _publish(store, read_table(store.path("frames", record.name)), record)
    return record


def _digest(columns: list[dict[str, Any]]) -> str:
    digest = PlaceDigest()
    for row in columns:
        digest.add(row)
    return digest.text()


def _placed(table: pa.Table, columns: list[dict[str, Any]]) -> pa.Table:
    """The table with other columns of time and place."""
    for name in place_columns(_NOWHERE):
        values = pa.array([row[name] for row in columns], FRAMES.field(name).type)
        table = table.set_column(table.schema.get_field_index(name), FRAMES.field(name), values)
    return table


def _publish(store: Store, table: pa.Table, record: ShardRecord) -> None:
    """Write a shard's `frames` file anew, as a shard writer does, aside and renamed."""
    path = store.path("frames", record.name)
    bounds = Bounds()
    bounds.add(table)
    with atomic_write(path) as file:
        with table_writer("frames", file, store.settings.compression_level) as writer:
            writer.write_table(table, row_group_size=ROWS_AT_ONCE)
            describe_frames(writer, record.shard(), record, bounds)
        check_held(store.root)


def _columns(table: pa.Table, record: ShardRecord, locator: Locator) -> list[dict[str, Any]]:
    """The columns of time and place of each row as they ought to be. An image that the facts don't
    know keeps what it had."""
    places = _places(table, record, locator)
    kept = table.select(list(place_columns(_NOWHERE)))
    kept = kept.set_column(
        kept.schema.get_field_index("timestamp"), "timestamp", kept["timestamp"].cast(pa.int64())
    ).to_pylist()
    return [
        old
        if p is None
        else place_columns(FrameRef("", "", "", None, None, p.time_us, p.time_source, p.position))
        for old, p in zip(kept, places, strict=True)
    ]


def _places(table: pa.Table, record: ShardRecord, locator: Locator) -> list[Place | None]:
    if source_of(record.source.kind).files_are_frames:
        keys = [frame_id.partition(":")[2] for frame_id in table["frame_id"].to_pylist()]
        return [
            place if locator.knows(key) else None
            for key, place in zip(keys, locator.of_images(keys), strict=True)
        ]
    pts_s = table["pts_s"].to_numpy(zero_copy_only=False).astype(np.float64)
    known_pts = np.isfinite(pts_s)  # a row for what couldn't be read has no time
    places = iter(locator.of_video(pts_s[known_pts]))
    return [next(places) if k else Place() for k in known_pts]
