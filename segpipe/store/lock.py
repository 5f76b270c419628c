"""One run at a time in a dataset.

A local folder is held by `flock`, which the kernel lets go when its owner ends, however it ends.
Where there is none of it, and on object stores, a file with heartbeats stands for the run
(`lock_object`).
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from segpipe.core.errors import DatasetError
from segpipe.runtime.files.paths import AnyPath, is_local
from segpipe.runtime.files.plain import check_plain, not_plain
from segpipe.store.lock_object import TIMING, LockObject, Timing
from segpipe.store.owner import Owner, busy, read_owner

try:
    import fcntl
except ImportError:  # not a POSIX system
    fcntl = None  # type: ignore[assignment]

PREFIX = ".lock"
"""What the names of all files of this module begin with."""
FILES = FLOCK, OBJECT = PREFIX, f"{PREFIX}.json"
_HELD_BY_ANOTHER = {errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES}
_NO_FLOCK = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
_OPEN = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
_MOST_NOTE = 65_536
_held: dict[str, LockObject] = {}
log = logging.getLogger(__name__)


@contextlib.contextmanager
def exclusive(root: AnyPath, timing: Timing | None = None) -> Iterator[None]:
    """Hold a dataset for one run. Raises DatasetBusy, with who holds it and since when, where
    another run does; what a dead run held is taken over."""
    with contextlib.ExitStack() as stack:
        if not (is_local(root) and fcntl is not None and stack.enter_context(_flocked(root))):
            lock = LockObject(root, root / OBJECT, timing or TIMING)
            stack.enter_context(lock)
            _held[str(root)] = lock
            stack.callback(_held.pop, str(root), None)
        yield


def check_held(root: AnyPath) -> None:
    """Before a commit: raises DatasetBusy where another run has taken over the dataset that this
    process holds."""
    lock = _held.get(str(root))
    if lock is not None:
        lock.check()


@contextlib.contextmanager
def _flocked(root: Path) -> Iterator[bool]:
    """Whether the folder is held now; False where its file system has no locks."""
    with _opened(root / FLOCK) as file:
        if not _flock(root, file):
            yield False
            return
        left = _note(file)
        if left is not None:  # whoever ends in order takes its note away
            log.info(
                "%s: the run before ended without letting go (%s); this one goes on",
                root,
                left.describe(),
            )
        _write(file, Owner.here().text())
        try:
            yield True
        finally:
            _write(file, "")


def _opened(path: Path) -> IO[str]:
    """The file of the lock, made where there is none: a plain file, and nobody else's content in
    it, for it is written over. Raises DatasetError."""
    try:
        handle = os.open(path, _OPEN, 0o666)
    except OSError as error:
        with contextlib.suppress(OSError):
            check_plain(path)  # says what is there instead
        raise DatasetError(
            f"{path.parent}: nothing can be written there ({error.strerror}); choose another folder"
        ) from None
    file = os.fdopen(handle, "r+", encoding="utf-8", errors="replace")
    status = os.fstat(handle)
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise not_plain(path, status.st_mode)
    # A second name of it may be anybody's: what isn't a note stays as it is
    if status.st_nlink > 1 and status.st_size and _note(file) is None:
        file.close()
        raise DatasetError(f"{path}: the same file as another one, with its content; remove it")
    return file


def _flock(root: Path, file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _HELD_BY_ANOTHER:
            raise busy(root, _note(file)) from None
        if error.errno in _NO_FLOCK:
            return False
        raise DatasetError(
            f"{root}: the folder can't be locked ({error.strerror}); choose another folder"
        ) from None
    return True


def _note(file: IO[str]) -> Owner | None:
    file.seek(0)
    return read_owner(file.read(_MOST_NOTE))


def _write(file: IO[str], text: str) -> None:
    """On a full disk the note stays out: the lock holds without it."""
    with contextlib.suppress(OSError):
        file.seek(0)
        file.truncate()
        file.write(text)
        file.flush()
