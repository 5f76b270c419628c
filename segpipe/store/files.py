"""Files that are there whole or not at all: written aside, flushed to the disk, renamed; on an object store put whole."""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from segpipe.store.places import AnyPath, flush_folder, is_local, reaching

ASIDE = ".tmp"


def aside(path: AnyPath) -> Path:
    """Where a file is written before it is whole: beside it, where the tables' glob `*.parquet` doesn't see it; for an object
    store, in a private folder of this machine."""
    if is_local(path):
        return path.with_name(path.name + ASIDE)
    return _private(os.getpid()) / (hashlib.blake2b(str(path).encode(), digest_size=12).hexdigest() + ASIDE)


def publish(path: AnyPath) -> None:
    """Put the file that was written aside into its place: flushed to the disk and renamed, or one whole object. Raises
    DatasetError where an object store fails; nothing is visible then."""
    written = aside(path)
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
def whole(path: AnyPath) -> Iterator[Path]:
    """Where to write a file, which is published at the end of the block; of one that couldn't be written nothing stays."""
    try:
        yield aside(path)
        publish(path)
    except BaseException:
        with contextlib.suppress(OSError):
            aside(path).unlink(missing_ok=True)
        raise


def write_text(path: AnyPath, text: str) -> None:
    """Write a small file whole."""
    with whole(path) as file:
        file.write_text(text, encoding="utf-8")


@lru_cache(maxsize=1)
def _private(process: int) -> Path:
    """A folder for this process alone (a fork gets another), removed when it ends."""
    folder = Path(tempfile.mkdtemp(prefix=f"segpipe-{process}-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
