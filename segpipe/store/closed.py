"""A dataset is closed: nothing in it leads out of it. One that was sent by mail may hold links,
pipes or devices in the places of its folders and files; it is refused before anything in it is
read, written or deleted.

The folder that the user names may itself be a link, for he made it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from segpipe.core.errors import DatasetError
from segpipe.runtime.files.atomic import unfinished_name
from segpipe.runtime.files.paths import AnyPath, is_local
from segpipe.runtime.files.plain import not_plain
from segpipe.store.forget_mark import FILE as FORGET
from segpipe.store.index import FOLDER as INDEX
from segpipe.store.lock import PREFIX as LOCK
from segpipe.store.manifest import FILE as MANIFEST
from segpipe.store.manifest import MIGRATING
from segpipe.store.table_files import READABLE

_FOLDERS = frozenset({*READABLE, INDEX})
_HALVES = frozenset({"new", "old"})
"""The folders in `MIGRATING` that hold tables."""
_FILES = frozenset({MANIFEST, FORGET})


def check_closed(root: AnyPath) -> None:
    """Raises DatasetError where something in a dataset's folder that segpipe would open isn't a
    plain file or folder; other people's files beside them are left alone. On an object store there
    is nothing else."""
    if not is_local(root) or not root.is_dir():
        return
    for entry in _entries(root):
        if entry.name in _FOLDERS:
            _check_table(entry)
        elif entry.name == MIGRATING:
            _check_migrating(entry)
        elif _is_file_of_ours(entry.name):
            _check_file(entry)


def _check_migrating(folder: os.DirEntry[str]) -> None:
    _check_folder(folder)
    for half in _entries(folder):
        if half.name not in _HALVES:
            _check_file(half)
            continue
        _check_folder(half)
        for table in _entries(half):
            _check_table(table)


def _check_table(folder: os.DirEntry[str]) -> None:
    _check_folder(folder)
    for entry in _entries(folder):
        _check_file(entry)


def _check_folder(entry: os.DirEntry[str]) -> None:
    if not entry.is_dir(follow_symlinks=False):
        if entry.is_file(follow_symlinks=False):
            raise DatasetError(
                f"{entry.path}: a file, and a dataset has a folder of this name; remove it"
            )
        raise not_plain(Path(entry.path), entry.stat(follow_symlinks=False).st_mode)


def _check_file(entry: os.DirEntry[str]) -> None:
    """A folder is no danger, and is told of where a file is wanted. What the listing says of an
    entry is enough: no file is asked for its state."""
    if not entry.is_file(follow_symlinks=False) and not entry.is_dir(follow_symlinks=False):
        try:
            mode = entry.stat(follow_symlinks=False).st_mode
        except FileNotFoundError:  # another run has just taken it away
            return
        if not stat.S_ISREG(mode):
            raise not_plain(Path(entry.path), mode)


def _is_file_of_ours(name: str) -> bool:
    return name in _FILES or name.startswith(LOCK) or unfinished_name(name) in _FILES


def _entries(folder: Path | os.DirEntry[str]) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            yield from entries
    except OSError as error:
        raise DatasetError(f"{os.fspath(folder)}: can't be listed ({error.strerror})") from None
