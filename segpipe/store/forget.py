"""Taking a source out of a dataset: marked first, then removed, then the mark. A kill before the
mark leaves the source whole; after it, the next run or forget removes the rest."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from segpipe.core.errors import DatasetError
from segpipe.runtime.files.atomic import flush_folder, unfinished_name
from segpipe.runtime.files.listing import FileState, list_states
from segpipe.runtime.files.paths import AnyPath, is_local, list_names, remove
from segpipe.store import index
from segpipe.store.address_file import load_addresses, write_addresses
from segpipe.store.addresses import Addresses
from segpipe.store.forget_mark import FILE, ForgetMark, read_mark, write_mark
from segpipe.store.lock import check_held
from segpipe.store.records import ShardRecord
from segpipe.store.schema import COMMIT_ORDER
from segpipe.store.shard_files import discard_shard
from segpipe.store.sources import FOLDER as SOURCES_FOLDER
from segpipe.store.sources import remove_source, source_ids

_SUFFIX = ".parquet"
_STREAM = re.compile(r"^v\d+-(?=(path-)?[0-9a-f]{20}(x[0-9a-f]{8})?$)")
"""What stands before a file's key in the id of one of its other video streams. Migrated ids and
those of live streams may begin in the same way."""
_FOLDERS = (*COMMIT_ORDER, SOURCES_FOLDER)


@dataclass(frozen=True)
class Contents:
    """What a dataset has of its sources: their shards, their rows, their addresses."""

    root: AnyPath
    records: list[ShardRecord]
    addresses: Addresses
    with_row: frozenset[str] = field(default_factory=frozenset)

    @property
    def source_ids(self) -> list[str]:
        """All sources of which there is anything."""
        streams = {r.source.source_id for r in self.records} | self.with_row
        files = {file_id_of(source_id) for source_id in streams}
        addressed = {row.source_id for row in self.addresses.rows()} - files
        return sorted(streams | addressed)

    def records_of(self, source_id: str) -> list[ShardRecord]:
        """A source's shards."""
        return [r for r in self.records if r.source.source_id == source_id]


def contents_of(root: AnyPath) -> Contents:
    """Read what a dataset has. Raises DatasetError for a shard that can't be read."""
    records = index.read_records(root)
    addresses = load_addresses(root, records)
    return Contents(root, records, addresses, frozenset(source_ids(root)))


def file_id_of(source_id: str) -> str:
    """The id of the file that a source is in: that of its default video stream."""
    return _STREAM.sub("", source_id)


def forget(contents: Contents, source_id: str) -> ForgetMark:
    """Take out a source that is there; what was taken out. The dataset must be held. Raises
    DatasetError where something of it is left afterwards, or something else was touched."""
    root = contents.root
    mark = mark_of(contents, source_id)
    before = _others(root, mark)
    check_held(root)
    write_mark(root, mark)
    finish(root)
    _check_gone(root, mark)
    if _others(root, mark) != before:
        raise DatasetError(
            f"{root}: files of other sources changed while {source_id} was taken out; segpipe "
            "verify tells what is wrong"
        )
    return mark


def mark_of(contents: Contents, source_id: str) -> ForgetMark:
    """What would be taken out. Half shards, which a killed run left, go with the others."""
    records = contents.records_of(source_id)
    whole = {r.name for r in contents.records}
    names = {r.name for r in records}
    for table in COMMIT_ORDER:
        stems = {s.name.removesuffix(_SUFFIX) for s in list_states(contents.root / table, _SUFFIX)}
        names |= {s for s in stems - whole if s.startswith(f"{source_id}-")}
    file_id = file_id_of(source_id)
    kin = {s for s in contents.source_ids if file_id_of(s) == file_id} - {source_id}
    frames = sum(r.frames for r in records)
    return ForgetMark(source_id, tuple(sorted(names)), frames, "" if kin else file_id)


def finish(root: AnyPath) -> ForgetMark | None:
    """Remove the rest of a source that is marked; the mark, or None where none is. The dataset must
    be held."""
    for name in list_names(root):
        if unfinished_name(name) == FILE:
            remove(root / name)
    mark = read_mark(root)
    if mark is None:
        return None
    for name in mark.shards:
        discard_shard(root, name)
    remove_source(root, mark.source_id)
    if mark.file_id:
        # Read with the mark in place, so that what is marked is left out
        write_addresses(root, load_addresses(root, index.read_records(root)))
    index.update(root)
    _flush(root, *_FOLDERS)  # all has gone for good before the mark does
    check_held(root)
    remove(root / FILE)
    _flush(root, "")
    return mark


def _flush(root: AnyPath, *folders: str) -> None:
    for folder in (root / name for name in folders):
        if is_local(folder) and folder.is_dir():
            flush_folder(folder)


def _check_gone(root: AnyPath, mark: ForgetMark) -> None:
    """Raises DatasetError where a row, a file or an address of a source is left."""
    left = [f"{table}/{s.name}" for table, states in _own(root, mark).items() for s in states]
    left += [f"the mark {FILE}"] if read_mark(root) is not None else []
    records = index.read_records(root)
    left += [r.name for r in records if r.source.source_id == mark.source_id]
    if mark.file_id:
        rows = load_addresses(root, records).rows()
        left += [f"the address {row.uri}" for row in rows if row.source_id == mark.file_id]
    if left:
        raise DatasetError(
            f"{root}: {mark.source_id} was taken out, but this is left of it: "
            f"{', '.join(left[:3])}; run the same command again"
        )


def _own(root: AnyPath, mark: ForgetMark) -> dict[str, list[FileState]]:
    """The files of a source, by table."""
    return {t: [s for s in _states(root, t) if _is_of(s, t, mark)] for t in _FOLDERS}


def _others(root: AnyPath, mark: ForgetMark) -> dict[str, list[FileState]]:
    """The files of all other sources, by table."""
    return {t: [s for s in _states(root, t) if not _is_of(s, t, mark)] for t in _FOLDERS}


def _states(root: AnyPath, table: str) -> list[FileState]:
    return list_states(root / table, _SUFFIX)


def _is_of(state: FileState, table: str, mark: ForgetMark) -> bool:
    stem = state.name.removesuffix(_SUFFIX)
    return stem == mark.source_id if table == SOURCES_FOLDER else stem in mark.shards
