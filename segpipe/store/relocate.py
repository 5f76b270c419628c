"""Footage that lies at another root now: the table `addresses` is told, and nothing is run."""

from __future__ import annotations

import os
import time
from pathlib import Path, PurePath

from segpipe.core.errors import ConfigError, DatasetError, SourceError
from segpipe.core.redact import is_url, redact
from segpipe.core.text import counted, printable_text
from segpipe.runtime.files.paths import AnyPath
from segpipe.sources import source_of
from segpipe.sources.fingerprint import fingerprint
from segpipe.store import index
from segpipe.store.address import Address
from segpipe.store.address_file import load_addresses, write_addresses
from segpipe.store.addresses import Addresses
from segpipe.store.footage_roots import note_roots
from segpipe.store.records import ShardRecord
from segpipe.store.which_source import places_of

SAMPLE = 64
"""So many files are compared by their fingerprints, all where there are fewer."""
_MOST_ROOTS = 10


def relocate(root: AnyPath, old: str, new: str, force: bool = False) -> tuple[int, int]:
    """Note that all that was last seen at or below `old` is at `new` now: how many files that are,
    and how many of them aren't there. The dataset must be held.

    Raises SourceError where `new` doesn't exist (but for `force`), DatasetError for an `old` where
    nothing was seen, for a file of another content, and for a stream's address.
    """
    records = index.read_records(root)
    _refuse_streams(records, old, new)
    addresses = load_addresses(root, records)
    place = next((p for p in places_of(old) if addresses.below(p)), "")
    rows = addresses.last_seen_below(place) if place else []
    if not rows:
        raise DatasetError(_unknown(addresses, old, place))
    target = os.path.realpath(Path(new).expanduser())
    if printable_text(target) == place:
        raise ConfigError(f"{new}: that is where it was seen last; name another place")
    away = 0
    if os.path.isdir(target) and rows[0].uri == place:
        raise ConfigError(f"{new}: a folder, and {old} was a file; name the file")
    if os.path.exists(target):
        away = _compare(rows, place, target)
    elif not force:
        raise SourceError(
            f"{new}: no such file or folder; --force notes it as the new place all the same"
        )
    addresses.move(place, printable_text(target), time.time_ns() // 1000)
    write_addresses(root, addresses)
    note_roots(root, [target])  # the user named it
    return len(rows), away


def _refuse_streams(records: list[ShardRecord], old: str, new: str) -> None:
    """Raises DatasetError for the address of a stream."""
    places = set(places_of(old))
    live = [r.source for r in records if not source_of(r.source.kind).replayable]
    known = next((s.source_id for s in live if s.uri in places), "")
    if known or is_url(old) or is_url(new):
        goes = f"; segpipe forget takes out {known}" if known else ""
        raise DatasetError(
            f"{redact(old)}: a stream is known by its address, so at {redact(new)} it is another "
            f"stream: record that one, and what was recorded stays as it is{goes}"
        )


def _compare(rows: list[Address], old: str, new: str) -> int:
    """How many of the files aren't at the new place. Raises DatasetError for one that is there with
    another content: all sizes are compared, and the fingerprints of a sample."""
    there: list[tuple[Address, Path]] = []
    for row in rows:
        path = Path(new + row.uri[len(old.rstrip("/")) :])
        try:
            size = path.stat().st_size
        except OSError:
            continue
        if size != row.size_bytes:
            raise _another(path, row)
        there.append((row, path))
    if not there:
        raise DatasetError(
            f"{new}: nothing of what was seen at {old} is there ({counted(len(rows), 'file')}); "
            "name the folder that holds it now"
        )
    with_content = [(row, path) for row, path in there if row.size_bytes > 0 and row.body]
    for row, path in with_content[:: -(-len(with_content) // SAMPLE) or 1]:
        try:
            key = fingerprint(path, row.size_bytes).key
        except OSError as error:
            raise SourceError(f"{path}: can't be read ({error.strerror or error})") from None
        if key != row.key.partition("x")[0]:
            raise _another(path, row)
    return len(rows) - len(there)


def _another(path: Path, row: Address) -> DatasetError:
    return DatasetError(
        f"{path}: holds another content than {row.uri} did; nothing was changed: name the folder "
        "with the same files, or run segpipe run over this one"
    )


def _unknown(addresses: Addresses, old: str, place: str) -> str:
    if place:
        return f"{old}: all that was seen there has been seen elsewhere since"
    roots = known_roots(addresses)
    known = ", ".join(roots) or "none: the dataset has no footage in files"
    return f"{old}: nothing was ever seen there; footage was last seen below: {known}"


def known_roots(addresses: Addresses, most: int = _MOST_ROOTS) -> list[str]:
    """The folders below which all footage was seen last: at most so many, so common ones are named
    where there are more."""
    folders = {PurePath(row.uri).parent for row in addresses.rows() if _is_latest(addresses, row)}
    folders = _topmost(folders)
    while len(folders) > most:
        depth = max(len(f.parts) for f in folders)
        folders = _topmost({f.parent if len(f.parts) == depth else f for f in folders})
    return sorted(map(str, folders))


def _is_latest(addresses: Addresses, row: Address) -> bool:
    return addresses.latest(row.key) == row.uri


def _topmost(folders: set[PurePath]) -> set[PurePath]:
    return {f for f in folders if not folders.intersection(f.parents)}
