"""How a shard's tables become Parquet files: row groups, compression, and what their metadata
says."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.core.types import Shard
from segpipe.store.geo import KEY as GEO_KEY
from segpipe.store.geo import Bounds, geo_metadata
from segpipe.store.records import SHARD_KEY, ShardRecord, record_text
from segpipe.store.schema import ADDRESSES, SCHEMA_VERSION, SIDE_TABLES, SOURCES, TABLES

READABLE = {**TABLES, **SIDE_TABLES, "sources": SOURCES, "addresses": ADDRESSES}
"""The tables that can be read: the shards', the sources', and where the footage was seen."""
ROWS_AT_ONCE = 64
"""Frames in a row group, and in memory before they are written: the memory of a run doesn't grow
with the shard."""
_DICTIONARY = [
    "source_id",
    "region",
    "class_name",
    "status",
    "error",
    "uri",
    "timestamp_source",
    "position_source",
]


def file_schema(table: str) -> pa.Schema:
    """A table's schema with the metadata that all its files share. Of `frames` that is `geo`, too:
    a reader that takes several files for one table looks for it there, not in the footer of a
    single file."""
    metadata = {"segpipe.schema_version": str(SCHEMA_VERSION)}
    if table == "frames":
        metadata[GEO_KEY] = geo_metadata(Bounds())
    return READABLE[table].with_metadata(metadata)


def table_writer(table: str, path: Path, compression_level: int) -> pq.ParquetWriter:
    """A writer for a shard's part of a table."""
    schema = file_schema(table)
    return pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=compression_level,
        use_dictionary=[c for c in schema.names if c in _DICTIONARY],
    )


def describe_frames(
    writer: pq.ParquetWriter, shard: Shard, record: ShardRecord, bounds: Bounds
) -> None:
    """Add to the footer of a `frames` file what is true of this file alone: its record, and the
    bounds of its points."""
    writer.add_key_value_metadata(
        {SHARD_KEY: record_text(shard, record), GEO_KEY: geo_metadata(bounds)}
    )
