"""Files that are there whole or not at all: written aside, flushed to the disk, renamed; on an
object store put whole. And folders that stay."""

from __future__ import annotations

import atexit
import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from segpipe.runtime.files.paths import AnyPath, is_local, reaching

ASIDE = ".tmp"
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0)
_TEMPORARY = re.compile(r"\.?(?P<name>.+?)(\.[0-9a-f]{16})?\.tmp")
"""With the digits, as they are written now; without, as earlier versions wrote them."""


def temp_path(path: AnyPath, ending: str = "") -> Path:
    """Where a file is written before it is whole: beside it, hidden, so that neither the glob
    `*.parquet` nor a reader of the whole folder (pyarrow skips names that begin with a dot) sees
    it; for an object store, in a private folder of this machine. Within a process it is the same
    each time; nobody else can know it, and put a link there. `ending` is for libraries that go by
    a name's end."""
    if is_local(path):
        return path.with_name(f".{path.name}.{_token(os.getpid())}{ASIDE}{ending}")
    return _private(os.getpid()) / (
        hashlib.blake2b(str(path).encode(), digest_size=12).hexdigest() + ASIDE
    )


def new_temp_file(path: AnyPath, ending: str = "") -> Path:
    """Make the file of `temp_path`, empty; nothing that is there is written to. Raises OSError."""
    file = temp_path(path, ending)
    try:
        handle = os.open(file, _NEW, 0o666)
    except FileExistsError:  # what this process began before, and couldn't remove
        file.unlink()
        handle = os.open(file, _NEW, 0o666)
    os.close(handle)
    return file


def unfinished_name(name: str) -> str:
    """What a file with a name of `temp_path` would have become; empty for any other name."""
    found = _TEMPORARY.fullmatch(name)
    return found["name"] if found else ""


def publish(path: AnyPath) -> None:
    """Put the file that was written aside into its place: flushed to the disk and renamed, or one
    whole object. Raises DatasetError where an object store fails; nothing is visible then."""
    written = temp_path(path)
    if is_local(path):
        with written.open("rb") as file:
            os.fsync(file.fileno())
        written.replace(path)
        flush_folder(path.parent)
        return
    with reaching(path):
        path.fs.put_file(str(written), path.path)
    written.unlink()


@contextlib.contextmanager
def atomic_write(path: AnyPath) -> Iterator[Path]:
    """Where to write a file, which is published at the end of the block; of one that couldn't be
    written nothing stays."""
    try:
        yield new_temp_file(path)
        publish(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temp_path(path).unlink(missing_ok=True)
        raise


def write_text(path: AnyPath, text: str) -> None:
    """Write a small file whole."""
    with atomic_write(path) as file:
        file.write_text(text, encoding="utf-8")


def make_folder(folder: AnyPath) -> None:
    """Make a folder that stays after a power cut; object stores have no folders, and there this
    does nothing."""
    if is_local(folder) and not folder.is_dir():
        folder.mkdir(parents=True, exist_ok=True)
        flush_folder(folder.parent)


def flush_folder(folder: Path) -> None:
    """Write a folder's names to the disk: only then does a rename in it survive a power cut."""
    if os.name != "posix":  # elsewhere folders can't be opened
        return
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.EOPNOTSUPP}:  # some network drives can't
            raise
    finally:
        os.close(handle)


@lru_cache(maxsize=1)
def _token(process: int) -> str:
    """Digits that this process alone knows; a fork gets others."""
    return secrets.token_hex(8)


@lru_cache(maxsize=1)
def _private(process: int) -> Path:
    """A folder for this process alone (a fork gets another), removed when it ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"segpipe-{process}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
