"""Parquet files of a dataset as pyarrow reads them: only plain files, and not more of them than
fits.

A file's footer says how many values it holds, and how large they are. What says more than may be
read is refused before its pages are; what says less than it holds is stopped by `bounded_memory`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.core.errors import DatasetError
from segpipe.runtime.files.memory import bounded_memory, most_bytes, too_much
from segpipe.runtime.files.paths import AnyPath, is_local, opened, read_bytes
from segpipe.runtime.files.plain import check_plain
from segpipe.store.schema import ADDRESSES, SIDE_TABLES, SOURCES, TABLES

MOST_FOOTER_BYTES = 256 * 2**20
"""The longest footer: of a shard of 100,000 frames, in row groups of 64, it takes some 10 MB."""
MOST_OBJECT_BYTES = 4 * 2**30
"""The largest file that is read whole from an object store."""
_TAIL_BYTES = 8
"""At a Parquet file's end: the length of the footer, and `PAR1`."""
_LEAST_BYTES = 4
"""Of a value in memory, in a column of numbers or as the place of a text."""


_SCHEMAS: dict[str, pa.Schema] = {
    **TABLES,
    **SIDE_TABLES,
    "sources": SOURCES,
    "addresses": ADDRESSES,
}


@contextmanager
def parquet_file(path: AnyPath, dictionaries: tuple[str, ...] = ()) -> Iterator[pq.ParquetFile]:
    """A Parquet file, to be read by `read_groups`; the columns of `dictionaries` are read as
    dictionaries. Raises DatasetError for what is no plain file or would take too much memory, and
    what pyarrow raises."""
    with _opened(path) as source:
        with bounded_memory():
            file = pq.ParquetFile(source, read_dictionary=list(dictionaries), pre_buffer=False)
        yield file


def read_table(path: AnyPath, columns: list[str] | None = None) -> pa.Table:
    """A file, or some of its columns, in memory. Unlike `pyarrow.parquet.read_table` this imports
    neither pyarrow.dataset nor, with it, pandas. Raises as `parquet_file`, and DatasetError for a
    column that the file lacks."""
    with parquet_file(path) as file:
        check_columns(file, path, columns)
        return read_groups(file, None, columns)


def check_columns(file: pq.ParquetFile, path: AnyPath, columns: list[str] | None = None) -> None:
    """Raises DatasetError where a table's file lacks one of the columns, or has it with another
    type."""
    said = _wrong_columns(file.schema_arrow, path.parent.name, columns)
    if said:
        raise DatasetError(f"{path}: {said}; segpipe verify lists what is wrong")


def _wrong_columns(there: pa.Schema, table: str, columns: list[str] | None) -> str:
    """What is wrong with the columns that are read of a table; empty where nothing is."""
    lacking = [c for c in columns or () if c not in there.names]
    if lacking:
        return f"it lacks the column {lacking[0]}"
    kinds = {f.name: f.type for f in _SCHEMAS.get(table, ())}
    wanted = [c for c in columns or there.names if c in kinds]
    other = [c for c in wanted if not _same_kind(there.field(c).type, kinds[c])]
    return f"its column {other[0]} has another type" if other else ""


def _same_kind(there: pa.DataType, wanted: pa.DataType) -> bool:
    """Whether the values are of one type, whatever the fields within it are called."""
    if pa.types.is_nested(wanted):
        return bool(there.id == wanted.id)
    return bool(there.equals(wanted)) or (
        pa.types.is_string(wanted) and pa.types.is_large_string(there)
    )


def read_groups(
    file: pq.ParquetFile, groups: list[int] | None = None, columns: list[str] | None = None
) -> pa.Table:
    """Some row groups of an opened file, or all. Raises DatasetError where they would take too much
    memory."""
    with bounded_memory():
        check_claims(file.metadata, groups, columns)
        if groups is None:
            return file.read(columns=columns, use_threads=False)
        return file.read_row_groups(groups, columns=columns, use_threads=False)


def footer_metadata(path: AnyPath) -> dict[bytes, bytes]:
    """The texts in a file's footer, by their keys. Raises as `parquet_file`."""
    if is_local(path):
        check_parquet(path)
    with opened(path) as file, bounded_memory():
        found: dict[bytes, bytes] = pq.read_metadata(file).metadata or {}
    return found


def check_claims(
    metadata: pq.FileMetaData, groups: list[int] | None = None, columns: list[str] | None = None
) -> None:
    """Raises DatasetError where a footer says that columns take more memory than may be read."""
    total, most = 0, most_bytes()
    wanted = None if columns is None else {c.partition(".")[0] for c in columns}
    paths = [metadata.schema.column(i).path for i in range(metadata.num_columns)]
    places = [i for i, p in enumerate(paths) if wanted is None or p.partition(".")[0] in wanted]
    lists = [i for i in places if "." in paths[i]]  # others have a value for each row, at most
    for number in range(metadata.num_row_groups) if groups is None else groups:
        group = metadata.row_group(number)
        values = group.num_rows * len(places) + sum(group.column(i).num_values for i in lists)
        total += values * _LEAST_BYTES
        if total > most:
            raise DatasetError(too_much(most))


def check_parquet(path: Path) -> None:
    """Raises DatasetError for a local file that isn't plain, or says that its footer is longer than
    any of segpipe's; OSError where it isn't there."""
    status = check_plain(path)
    if status.st_size <= MOST_FOOTER_BYTES:
        return
    with path.open("rb", buffering=0) as file:
        file.seek(-_TAIL_BYTES, os.SEEK_END)
        length = int.from_bytes(file.read(_TAIL_BYTES)[:4], "little")
    if length > MOST_FOOTER_BYTES:
        raise DatasetError(f"{path}: its footer says that it is {length} bytes long")


@contextmanager
def _opened(path: AnyPath) -> Iterator[pa.NativeFile]:
    if is_local(path):
        check_parquet(path)
        with pa.OSFile(str(path)) as source:
            yield source
    else:  # whole: a shard's file is small, and a request slow
        yield pa.BufferReader(read_bytes(path, MOST_OBJECT_BYTES))
