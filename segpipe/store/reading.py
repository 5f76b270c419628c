"""Parquet files of a dataset as pyarrow reads them."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.runtime.files.paths import AnyPath, is_local, read_bytes


def readable(path: AnyPath) -> str | pa.BufferReader:
    """A Parquet file as pyarrow takes it: from an object store whole, for a shard's file is small
    and a request slow."""
    return str(path) if is_local(path) else pa.BufferReader(read_bytes(path))


def read_whole(path: AnyPath) -> pa.Table:
    """A small file in memory. Unlike `pyarrow.parquet.read_table` this imports neither
    pyarrow.dataset nor, with it, pandas. Raises what pyarrow raises."""
    with pq.ParquetFile(readable(path)) as file:
        return file.read(use_threads=False)
