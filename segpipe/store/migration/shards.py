"""Shards of earlier schemas, rewritten into another folder: their rows as they are, under new
ids."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.inference.measures.regions import Regions
from segpipe.runtime.files.atomic import atomic_write
from segpipe.sources import source_of
from segpipe.sources.ids import files_digest
from segpipe.store.geo import Bounds
from segpipe.store.migration.columns import present_columns, renamed
from segpipe.store.migration.largest import lacks_boxes, with_boxes
from segpipe.store.migration.new_ids import NewSource
from segpipe.store.reading import parquet_file, read_groups
from segpipe.store.records import ShardRecord
from segpipe.store.refresh import places_hold
from segpipe.store.schema import COMMIT_ORDER
from segpipe.store.shard_files import ShardFiles
from segpipe.store.table_files import describe_frames, table_writer
from segpipe.telemetry.locate import Locator


@dataclass(frozen=True)
class ShardMove:
    """A shard on its way: its record as it was and as it will be."""

    old: ShardRecord
    new: ShardRecord
    source: NewSource

    def frame_id(self, frame_id: str) -> str:
        """The new id of a frame."""
        return self.source.frame_id(frame_id, self.old.source)


def shard_moves(records: list[ShardRecord], found: Mapping[str, NewSource]) -> list[ShardMove]:
    """The new record of each shard. What it says of its source's facts is left out."""
    names = {r.name: _new_name(r, found[r.source.source_id]) for r in records}
    moves = []
    for old in records:
        source = found[old.source.source_id]
        new = replace(
            old,
            name=names[old.name],
            source=source.info,
            files=tuple(source.files.get(f.name, f) for f in old.files),
            failed_files=tuple(source.key(n, old.source) for n in old.failed_files),
            transient_files=tuple(source.key(n, old.source) for n in old.transient_files),
            replaces=names.get(old.replaces, ""),
        )
        moves.append(ShardMove(old, new, source))
    return moves


def _new_name(record: ShardRecord, source: NewSource) -> str:
    new_id = source.info.source_id
    if source.by_file:
        return f"{new_id}-{files_digest(tuple(source.files[f.name] for f in record.files))}"
    return new_id + record.name.removeprefix(record.source.source_id)


def migrate_shard(
    move: ShardMove, old: ShardFiles, new: ShardFiles, regions: Regions, locator: Locator
) -> None:
    """Write a shard into another dataset's folder, `frames` last; what of it is there is written
    again. Raises OSError, ValueError or what a damaged file makes Arrow raise."""
    for table in COMMIT_ORDER:
        source = old.path(table, move.old.name)
        if table == "gaps" and not source.exists():
            continue
        with parquet_file(source) as file:
            if table == "class_stats":
                _write(new, table, move, [_statistics(move, file, old, regions)])
            elif table == "frames":
                _write_frames(new, move, file, locator)
            else:
                groups = (read_groups(file, [i]) for i in range(file.num_row_groups))
                _write(new, table, move, groups)


def _statistics(
    move: ShardMove, file: pq.ParquetFile, old: ShardFiles, regions: Regions
) -> pa.Table:
    rows = read_groups(file)
    if lacks_boxes(rows):
        with parquet_file(old.path("masks", move.old.name)) as mask_file:
            rows = with_boxes(rows, mask_file, regions, len(old.classes))
    return rows


def _write(
    new: ShardFiles,
    table: str,
    move: ShardMove,
    groups: Iterable[pa.Table],
    finish: Callable[[pq.ParquetWriter], None] = lambda _: None,
) -> None:
    """Write rows under their new ids, in the row groups that they come in."""
    path = new.path(table, move.new.name)
    with (
        atomic_write(path) as file,
        table_writer(table, file, new.settings.compression_level) as writer,
    ):
        for rows in groups:
            rows = renamed(rows, "source_id", lambda _: move.new.source.source_id)
            if "frame_id" in rows.column_names:
                rows = renamed(rows, "frame_id", move.frame_id)
            writer.write_table(present_columns(table, rows))
        finish(writer)


def _write_frames(new: ShardFiles, move: ShardMove, file: pq.ParquetFile, locator: Locator) -> None:
    """Write a shard's frames with its record. Where its times and positions follow from the facts
    of its source, the record says so, and no run has to look at them."""
    groups = [read_groups(file, [i]) for i in range(file.num_row_groups)]
    rows = present_columns("frames", renamed(read_groups(file), "frame_id", move.frame_id))
    record, bounds = replace(move.new, facts=""), Bounds()
    bounds.add(rows)
    if not source_of(record.source.kind).replayable:
        record = replace(record, facts=move.old.facts)
    elif locator.facts is not None and places_hold(rows, record, locator):
        record = replace(record, facts=locator.facts.digest())
    shard = record.shard()
    _write(new, "frames", move, groups, lambda w: describe_frames(w, shard, record, bounds))
