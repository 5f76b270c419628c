"""One address of one file, and what follows from it alone."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, replace

from segpipe.core.types import FileStamp, SourceInfo
from segpipe.sources import source_of
from segpipe.store.records import ShardRecord


@dataclass(frozen=True, slots=True)
class Address:
    """One address of one content: `source_id` is that of a file's default stream, or of a folder of
    images; `key` is the file's content. Times are UTC in microseconds since 1970."""

    source_id: str
    key: str
    uri: str
    size_bytes: int
    mtime_ns: int
    body: str
    digest: str
    first_seen_us: int
    last_seen_us: int


def is_below(uri: str, place: str) -> bool:
    """Whether an address lies in a folder, at any depth."""
    return uri.startswith(place.rstrip("/") + "/")


def key_of(source: SourceInfo, file: FileStamp) -> str:
    """The key of a file's content, out of a shard's record."""
    return file.name if source_of(source.kind).files_are_frames else source.file_id


def useful_keys(records: Iterable[ShardRecord]) -> set[str]:
    """The keys of contents of which at least one frame could be read."""
    found: set[str] = set()
    for record in records:
        failed = set(record.failed_files)
        if record.failed < record.frames:
            found |= {key_of(record.source, f) for f in record.files if f.name not in failed}
    return found


def latest_first(row: Address) -> tuple[int, int, str]:
    """For sorting: the latest address first; of those seen together the newer one, then by name."""
    return -row.last_seen_us, -row.first_seen_us, row.uri


def homes_of(rows: Iterable[Address]) -> dict[str, str]:
    """The folder of each source of images; as the SQL view `sources` has it."""
    folders: dict[tuple[str, str], Address] = {}
    for row in rows:
        if row.key == row.source_id:
            continue
        place = row.source_id, folder_of(row.uri)
        before = folders.get(place, row)
        folders[place] = replace(
            row,
            uri=min(row.uri, before.uri),
            first_seen_us=min(row.first_seen_us, before.first_seen_us),
            last_seen_us=max(row.last_seen_us, before.last_seen_us),
        )
    ordered = sorted(folders.items(), key=lambda item: latest_first(item[1]), reverse=True)
    return {source_id: folder for (source_id, folder), _ in ordered}


def folder_of(uri: str) -> str:
    """The folder of an address."""
    return os.path.dirname(uri)
