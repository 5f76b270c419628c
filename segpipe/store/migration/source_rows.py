"""Rows of the table `sources` of earlier schemas as those of the present one."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.core.json_text import read_json
from segpipe.core.types import SourceInfo
from segpipe.runtime.files.atomic import atomic_write
from segpipe.store.file_streams import KEY
from segpipe.store.migration.new_ids import NewSource
from segpipe.store.reading import parquet_file, read_groups, read_table
from segpipe.store.schema import SCHEMA_VERSION, SOURCES


def read_info(path: Path) -> SourceInfo:
    """Which source a file of `sources` is of. Raises what a damaged file makes Arrow raise."""
    with parquet_file(path) as file:
        row = read_groups(file, None, ["source_id", "kind", "uri"]).to_pylist()[0]
        extra = read_json((file.schema_arrow.metadata or {})[KEY.encode()])
    return SourceInfo(row["source_id"], row["kind"], row["uri"], extra.get("stream"))


def migrate_source(
    path: Path, folder: Path, old: SourceInfo, found: Mapping[str, NewSource]
) -> None:
    """Write a source's row into another folder `sources`, under its new id."""
    table = read_table(path)
    row: dict[str, Any] = table.to_pylist()[0]
    extra = read_json(table.schema.metadata[KEY.encode()])
    source = found[old.source_id]
    _rename(row, old, source)
    row["drive_id"] = _new_id(row["drive_id"], found)
    # Without a key the next run finds the facts anew where the footage is there
    extra |= {"key": "", "stream": old.stream, "file": _streams(extra.get("file"))}
    metadata = {"segpipe.schema_version": str(SCHEMA_VERSION), KEY: json.dumps(extra)}
    new = pa.Table.from_pylist([row], SOURCES.with_metadata(metadata))
    with atomic_write(folder / f"{source.info.source_id}.parquet") as file:
        pq.write_table(new, file, compression="zstd")


def _rename(row: dict[str, Any], old: SourceInfo, source: NewSource) -> None:
    row["source_id"] = source.info.source_id
    if "start" in row:
        row["start_time"] = row.pop("start")
    row["fingerprint"] = source.fingerprint
    for fix in row["track"] or ():
        if "track_m" in fix:
            fix["odometer_m"] = fix.pop("track_m")
    if source.by_file:
        for photo in row["photos"] or ():
            photo["key"] = source.key(photo["file"], old)
        for clock in row["clocks"] or ():
            clock["file"] = clock["file"] and source.key(clock["file"], old)


def _new_id(source_id: str, found: Mapping[str, NewSource]) -> str:
    return found[source_id].info.source_id if source_id in found else source_id


def _streams(file: list[Any] | None) -> list[Any] | None:
    """The video streams of a file; schema version 4 had its size and time before them."""
    return file[2] if file and isinstance(file[0], int) else file
