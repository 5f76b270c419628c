"""The index of a dataset's shards: all their records in one file, so that nobody has to read the
footers of a hundred thousand.

It is a cache. A record counts only for the very file that it was read of, by name, size and mark;
all others are read of the footers, and an index that can't be read is none. So nothing that happens
to the dataset or to the index makes the records wrong, only slower to come by.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.core.errors import DatasetError
from segpipe.runtime.files.atomic import atomic_write, make_folder, unfinished_name
from segpipe.runtime.files.listing import FileState, clock_ns, list_states
from segpipe.runtime.files.paths import AnyPath, map_paths
from segpipe.store.columns import numbers, strings
from segpipe.store.forget_mark import marked_names
from segpipe.store.lock import check_held
from segpipe.store.reading import read_table
from segpipe.store.records import ShardRecord, footer_text, parse_record, read_record

FOLDER, FILE = "index", "shards.parquet"
_SCHEMA = pa.schema(
    [
        ("shard", pa.large_string()),
        ("size_bytes", pa.int64()),
        ("mark", pa.large_string()),
        ("record", pa.large_string()),
    ]
)
_DIGEST = b"segpipe.index.1"
"""The key of the digest of all rows; its number is the format's."""
_SUFFIX = ".parquet"
FILES = frozenset({FILE, "accepted.json", "finished.json"})
"""All that lies in the folder; `accepted` and `finished` write the other two."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Texts:
    """The records of the shards that are there, as text, by name; and what the index held."""

    now: dict[FileState, str]
    indexed: dict[FileState, str]


def is_file_of_index(name: str) -> bool:
    """Whether a file in the folder has a name that segpipe gives, whole or begun."""
    return (unfinished_name(name) or name) in FILES


def read_records(root: AnyPath) -> list[ShardRecord]:
    """The committed shards, by name, and nothing written. Raises DatasetError for a footer that
    can't be read."""
    return _records(root, _texts(root, lambda: None))


def records_and_update(root: AnyPath, check: Callable[[], None]) -> list[ShardRecord]:
    """The committed shards, by name, and the index brought up to date. The dataset must be held;
    `check` is called before each footer, and may raise. Raises DatasetError as `read_records`."""
    now_ns = _clock_ns(root)
    texts = _texts(root, check)
    records = _records(root, texts)
    _update(root, texts, now_ns)
    return records


def update(root: AnyPath) -> None:
    """Bring the index up to date after a run, so that the next has nothing to read. The dataset
    must be held. What goes wrong is no error: the next run reads the footers."""
    now_ns = _clock_ns(root)
    try:
        texts = _texts(root, lambda: None)
    except (DatasetError, OSError):
        log.debug("%s: the index wasn't brought up to date", root, exc_info=True)
        return
    _update(root, texts, now_ns)


def _texts(root: AnyPath, check: Callable[[], None]) -> _Texts:
    """One listing, compared with the index; only footers of what is new or has changed are read."""

    def text(path: AnyPath) -> str:
        check()
        return footer_text(path)

    indexed = _read(root)
    gone = marked_names(root, "frames")
    listed = [
        state
        for state in list_states(root / "frames", _SUFFIX)
        if state.name.removesuffix(_SUFFIX) not in gone
    ]
    new = [state for state in listed if state not in indexed]
    read = dict(zip(new, map_paths(text, [_path(root, s) for s in new]), strict=True))
    return _Texts({s: read[s] if s in read else indexed[s] for s in listed}, indexed)


def _records(root: AnyPath, texts: _Texts) -> list[ShardRecord]:
    return [_record(root, state, text) for state, text in texts.now.items()]


def _record(root: AnyPath, state: FileState, text: str) -> ShardRecord:
    try:
        return parse_record(text, state.name.removesuffix(_SUFFIX))
    except (KeyError, TypeError, ValueError):
        return read_record(_path(root, state))  # what is wrong with a footer is said of the file


def _path(root: AnyPath, state: FileState) -> AnyPath:
    return root / "frames" / state.name


def _read(root: AnyPath) -> dict[FileState, str]:
    """What the index holds; nothing where it isn't there, or not as it was written."""
    try:
        table = read_table(root / FOLDER / FILE)
        names, sizes, marks, texts = (table[name].to_pylist() for name in _SCHEMA.names)
        if (table.schema.metadata or {}).get(_DIGEST) != _digest(names, sizes, marks, texts):
            return {}
        states = map(FileState, names, sizes, marks)
        return {state: text for state, text in zip(states, texts, strict=True) if state.mark}
    except (OSError, KeyError, TypeError, ValueError, pa.ArrowException, DatasetError):
        return {}


def _update(root: AnyPath, texts: _Texts, now_ns: int | None) -> None:
    """Write the index where it would differ. What has been written only just now is left out: the
    next run reads its footer, and then it can be told from what may yet replace it."""
    if now_ns is None:
        return
    settled = {state: text for state, text in texts.now.items() if state.is_settled(now_ns)}
    if settled == texts.indexed:
        return
    try:
        _write(root, settled)
    except (OSError, ValueError, DatasetError):  # a full disk, or a lost lock, shows soon enough
        log.debug("%s: the index couldn't be written", root, exc_info=True)


def _write(root: AnyPath, texts: dict[FileState, str]) -> None:
    names, sizes = [s.name for s in texts], [s.size_bytes for s in texts]
    columns = (names, sizes, [s.mark for s in texts], list(texts.values()))
    schema = _SCHEMA.with_metadata({_DIGEST: _digest(*columns)})
    texts_of = [strings(c) for c in (columns[0], columns[2], columns[3])]
    table = pa.Table.from_arrays([texts_of[0], numbers(sizes), *texts_of[1:]], schema=schema)
    with atomic_write(root / FOLDER / FILE) as file:
        pq.write_table(table, file, compression="zstd", use_dictionary=False)
        check_held(root)


def _digest(names: list[str], sizes: list[int], marks: list[str], texts: list[str]) -> bytes:
    """Of all rows, in hexadecimal digits: a bit that has flipped mustn't be believed."""
    digest = hashlib.blake2b(digest_size=16)
    for row in zip(names, map(str, sizes), marks, texts, strict=True):
        digest.update("\0".join(row).encode() + b"\n")
    return digest.hexdigest().encode()


def _clock_ns(root: AnyPath) -> int | None:
    """The file system's time before its files are listed; None where nothing can be written."""
    try:
        make_folder(root / FOLDER)
        return clock_ns(root / FOLDER / FILE)
    except OSError:
        return None
