"""The table `addresses` as a file: one for the dataset, written by every run."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.core.errors import DatasetError
from segpipe.runtime.files.atomic import atomic_write, make_folder, unfinished_name
from segpipe.runtime.files.listing import FileState, list_states
from segpipe.runtime.files.paths import AnyPath, is_local, list_names, remove
from segpipe.sources import source_of
from segpipe.store.address import Address, key_of
from segpipe.store.addresses import Addresses
from segpipe.store.columns import numbers, strings
from segpipe.store.forget_mark import read_mark
from segpipe.store.lock import check_held
from segpipe.store.reading import read_table
from segpipe.store.records import ShardRecord
from segpipe.store.schema import ADDRESSES, SCHEMA_VERSION

FOLDER, FILE = "addresses", "addresses.parquet"


def load_addresses(root: AnyPath, records: Iterable[ShardRecord]) -> Addresses:
    """The addresses of a dataset, with those that only its shards' records have: where the file is
    missing or damaged, all of them."""
    records = list(records)
    rows = {(r.key, r.uri): r for r in _of_records(records)}
    found = read_addresses(root)
    rows |= {(r.key, r.uri): r for r in found}
    return Addresses(rows.values(), records)


def address_state(root: AnyPath) -> list[FileState]:
    """What another writing of the table makes another one."""
    return list_states(root / FOLDER, FILE)


def read_addresses(root: AnyPath) -> list[Address]:
    """The rows of the table, without those of a source that is being taken out; none where it is
    missing or damaged."""
    try:
        table = read_table(root / FOLDER / FILE).cast(ADDRESSES)
    except (OSError, ValueError, DatasetError, pa.ArrowException):
        return []
    columns = [
        (c.cast(pa.int64()) if pa.types.is_timestamp(c.type) else c).to_pylist()
        for c in table.columns
    ]
    mark = read_mark(root)
    gone = mark.file_id if mark is not None else ""
    rows = (Address(*row) for row in zip(*columns, strict=True))
    return [row for row in rows if row.source_id != gone]


def address_table(rows: list[Address]) -> pa.Table:
    """Addresses as the table `addresses`."""
    arrays = []
    for name, column in zip(Address.__slots__, ADDRESSES, strict=True):
        values = [getattr(row, name) for row in rows]
        text = pa.types.is_string(column.type)
        arrays.append(strings(values).cast(column.type) if text else numbers(values, column.type))
    schema = ADDRESSES.with_metadata({"segpipe.schema_version": str(SCHEMA_VERSION)})
    return pa.Table.from_arrays(arrays, schema=schema)


def write_addresses(root: AnyPath, addresses: Addresses) -> None:
    """Write the table, aside and renamed; what a killed writer left goes. The dataset must be held.
    Raises DatasetError where a folder is in the way."""
    table = address_table(addresses.rows())
    make_folder(root / FOLDER)
    path = root / FOLDER / FILE
    if is_local(path) and path.is_dir():
        raise DatasetError(f"{path}: a folder of this name is in the way; move it elsewhere")
    for name in list_names(root / FOLDER):
        if unfinished_name(name) == FILE:
            remove(root / FOLDER / name)
    with atomic_write(path) as file:
        pq.write_table(table, file, compression="zstd")
        check_held(root)
    addresses.changed = False


def located(record: ShardRecord, addresses: Addresses) -> ShardRecord:
    """A shard's record with the addresses where its footage was seen last."""
    source = record.source
    if not source_of(source.kind).replayable:
        return record
    uris = [addresses.latest(key_of(source, f)) or f.uri or source.uri for f in record.files]
    files = tuple(replace(f, uri=uri) for f, uri in zip(record.files, uris, strict=True))
    if source_of(source.kind).files_are_frames:
        source = replace(source, uri=addresses.home(source.source_id) or source.uri)
    elif uris:
        source = replace(source, uri=uris[0])
    return replace(record, source=source, files=files)


def _of_records(records: list[ShardRecord]) -> Iterable[Address]:
    for record in records:
        source = record.source
        if not source_of(source.kind).replayable:
            continue
        for f in record.files:
            uri = f.uri or source.uri
            key = key_of(source, f)
            yield Address(source.file_id, key, uri, f.size_bytes, f.mtime_ns, f.body, "", 0, 0)
