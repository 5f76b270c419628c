"""Parquet files, read in pieces, so that memory doesn't grow with the shard."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.core.errors import DatasetError
from segpipe.runtime.files.paths import AnyPath
from segpipe.store.reading import read_groups
from segpipe.store.table_files import READABLE
from segpipe.verify.findings import BROKEN, Finding
from segpipe.verify.listing import is_ours

UNREADABLE = (
    *(DatasetError, OSError, pa.ArrowException, ValueError, KeyError, TypeError, IndexError),
    *(AttributeError, OverflowError),
)
"""What reading a damaged file may raise."""


def pieces(
    file: pq.ParquetFile, columns: list[str], most: int, weight: str = ""
) -> Iterator[pa.Table]:
    """The columns of a file, so many row groups at once that they hold about `most` rows, or values
    of the column `weight`."""
    meta = file.metadata
    place = (
        [meta.schema.column(i).path for i in range(meta.num_columns)].index(weight)
        if weight
        else -1
    )
    groups: list[int] = []
    total = 0
    for i in range(meta.num_row_groups):
        group = meta.row_group(i)
        if not group.num_rows:
            continue
        size = group.column(place).num_values if weight else group.num_rows
        if groups and total + size > most:
            yield read_groups(file, groups, columns)
            groups, total = [], 0
        groups.append(i)
        total += size
    if groups:
        yield read_groups(file, groups, columns)


def check_schema(file: pq.ParquetFile, table: str, dictionaries: tuple[str, ...] = ()) -> str:
    """What is wrong with a file's columns; empty where nothing is. `dictionaries` are those that
    `parquet_file` was asked for."""
    wanted, there = READABLE[table], file.schema_arrow
    for name in set(dictionaries) & set(there.names):
        at, found = there.get_field_index(name), there.field(name)
        there = (
            there.set(at, found.with_type(found.type.value_type))
            if pa.types.is_dictionary(found.type)
            else there
        )
    if there.equals(wanted):
        return ""
    lacking = [n for n in wanted.names if n not in there.names]
    more = [n for n in there.names if n not in wanted.names]
    other = [
        n for n in wanted.names if n in there.names and not there.field(n).equals(wanted.field(n))
    ]
    parts = [("lacks", lacking), ("has more", more), ("has of another type", other)]
    return "not the table's columns: " + (
        "; ".join(f"{how} {', '.join(n)}" for how, n in parts if n) or "in another order"
    )


def broken(path: AnyPath, table: str, shard: str, error: Exception) -> Finding:
    """A file that can't be read, as a finding; repaired is only what segpipe wrote."""
    said = " ".join(str(error).split())[:200]
    ours = is_ours(path)
    todo = "" if ours else "; segpipe didn't write it: move it elsewhere"
    return Finding(BROKEN, table, shard, "", f"can't be read ({said}){todo}", ours)
