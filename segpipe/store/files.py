"""Files that are there whole or not at all: written aside, flushed to the disk, renamed."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from segpipe.errors import DatasetError

try:
    import fcntl
except ImportError:  # not a POSIX system: there, two runs at once aren't noticed
    fcntl = None  # type: ignore[assignment]

ASIDE = ".tmp"


def aside(path: Path) -> Path:
    """Where a file is written before it is whole; the tables' glob `*.parquet` doesn't see it."""
    return path.with_name(path.name + ASIDE)


def publish(path: Path) -> None:
    """Flush the file that was written aside and rename it into place."""
    with aside(path).open("rb") as file:
        os.fsync(file.fileno())
    aside(path).replace(path)


def write_text(path: Path, text: str) -> None:
    """Write a small file whole."""
    aside(path).write_text(text, encoding="utf-8")
    publish(path)


@contextlib.contextmanager
def exclusive(root: Path) -> Iterator[None]:
    """Hold a dataset for one run; the system lets go when the process ends, however it ends. Raises DatasetError where
    another run holds it."""
    if fcntl is None:
        yield
        return
    with (root / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise DatasetError(f"{root}: the folder can't be locked ({error.strerror}); use a local disk") from None
            raise DatasetError(f"{root}: another run is writing to this dataset; wait for it, or write elsewhere") from None
        yield
