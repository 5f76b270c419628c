"""Times and positions put right without segmenting again: when a source's clock or track has changed since its shards were
written, their `frames` files are written anew, and nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.frames import FrameRef
from segpipe.store.files import aside, publish
from segpipe.store.geo import KEY as GEO_KEY
from segpipe.store.geo import Bounds, geo_metadata
from segpipe.store.records import SHARD_KEY, ShardRecord, record_text
from segpipe.store.rows import place_columns
from segpipe.store.schema import FRAMES
from segpipe.store.writer import Store
from segpipe.telemetry.locate import Locator, Place

log = logging.getLogger(__name__)


def relocate(store: Store, records: list[ShardRecord], locate: Callable[[str], Locator]) -> list[ShardRecord]:
    """Put right the shards whose facts have changed; returns the records as they are now. A shard is put right whole or not at
    all, and one that a killed run didn't reach is put right by the next."""
    found = []
    for record in records:
        locator = locate(record.source.source_id)
        now = locator.facts.digest() if locator.facts is not None else record.facts
        if record.facts != now:
            log.info("%s: times and positions are put right", record.name)
            record = replace(record, facts=now)
            _rewrite(store.path("frames", record.name), record, locator, store.settings.compression_level)
        found.append(record)
    return found


def _rewrite(path: Path, record: ShardRecord, locator: Locator, compression_level: int) -> None:
    table = pq.read_table(path, partitioning=None)
    places = _places(table, record, locator)
    new = [
        None if p is None else place_columns(FrameRef("", "", "", None, None, p.time_us, p.time_source, p.position)) for p in places
    ]
    old = table.to_pylist()
    for name in place_columns(FrameRef("", "", "")):
        values = [o[name] if n is None else n[name] for n, o in zip(new, old, strict=True)]
        table = table.set_column(table.schema.get_field_index(name), FRAMES.field(name), pa.array(values, FRAMES.field(name).type))
    bounds = Bounds()
    bounds.add(table)
    text = record_text(record.shard(), record.frames, record.failed, list(record.failed_files), record.facts)
    metadata = (table.schema.metadata or {}) | {SHARD_KEY.encode(): text.encode(), GEO_KEY.encode(): geo_metadata(bounds).encode()}
    pq.write_table(table.replace_schema_metadata(metadata), aside(path), compression="zstd", compression_level=compression_level)
    publish(path)


def _places(table: pa.Table, record: ShardRecord, locator: Locator) -> list[Place | None]:
    """The place of each row; None for an image that isn't there any more, whose row keeps what it had."""
    if record.source.kind == "images":
        files = [Path(record.source.uri) / uri.rpartition("/")[2] for uri in table["uri"].to_pylist()]
        return [place if file.exists() else None for file, place in zip(files, locator.of_images(files), strict=True)]
    pts_s = table["pts_s"].to_numpy(zero_copy_only=False).astype(np.float64)
    known = np.isfinite(pts_s)  # a row for what couldn't be read has no time
    places = iter(locator.of_video(pts_s[known]))
    return [next(places) if k else Place() for k in known]
