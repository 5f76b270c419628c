"""One run at a time in a dataset."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Iterator
from pathlib import Path

from segpipe.errors import DatasetBusy, DatasetError
from segpipe.store.places import AnyPath, is_local

try:
    import fcntl
except ImportError:  # not a POSIX system: there, two runs at once aren't noticed
    fcntl = None  # type: ignore[assignment]

FILES = (".lock", ".lock.json")
"""What this module leaves in a dataset's folder."""


@contextlib.contextmanager
def exclusive(root: Path | AnyPath) -> Iterator[None]:
    """Hold a dataset for one run; the system lets go when the process ends, however it ends. Raises DatasetBusy where
    another run holds it."""
    if fcntl is None or not is_local(root):
        yield
        return
    with (root / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in {errno.EWOULDBLOCK, errno.EACCES}:
                raise DatasetError(f"{root}: the folder can't be locked ({error.strerror}); use a local disk") from None
            raise DatasetBusy(f"{root}: another run is writing to this dataset; wait for it, or write elsewhere") from None
        yield
