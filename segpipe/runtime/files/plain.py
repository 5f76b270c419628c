"""Files that a stranger may have made: only plain files are opened, never what they lead to.

A link may lead to anybody's file, a pipe keeps its reader waiting for ever, a device has no end.
All of them are told from a file by their names' own entry, before anything is opened.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from segpipe.core.errors import DatasetError
from segpipe.core.text import one_line_text

MOST_TEXT_BYTES = 16 * 2**20
"""The longest JSON file that is read: a manifest of 255 classes takes some 50 kB."""
_KINDS = {
    stat.S_IFLNK: "a link",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_READ = (
    os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | os.O_CLOEXEC
    if os.name == "posix"
    else os.O_RDONLY | getattr(os, "O_BINARY", 0)
)


def check_plain(path: Path) -> os.stat_result:
    """The state of a plain file, which is not opened. Raises DatasetError for a link, a pipe, a
    socket or a device, OSError where there is nothing or a folder."""
    status = os.lstat(path)
    _refuse_others(path, status.st_mode)
    return status


def read_plain(path: Path, most_bytes: int = MOST_TEXT_BYTES) -> bytes:
    """A small plain file whole. Raises DatasetError for what is none and for one of more than
    `most_bytes`, OSError where it can't be read."""
    check_plain(path)
    try:
        handle = os.open(path, _READ)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENXIO}:  # it has become one since
            raise not_plain(path, stat.S_IFLNK) from None
        raise
    with os.fdopen(handle, "rb", buffering=0) as file:
        _refuse_others(path, os.fstat(handle).st_mode)
        content = file.read(most_bytes + 1) or b""
        while len(content) <= most_bytes and (more := file.read(most_bytes + 1 - len(content))):
            content += more
    if len(content) > most_bytes:
        raise too_large(path, most_bytes)
    return content


def not_plain(path: Path, mode: int) -> DatasetError:
    """What to raise for what lies in the place of a file or folder of a dataset."""
    return DatasetError(
        f"{one_line_text(str(path))}: {_KINDS.get(stat.S_IFMT(mode), 'something else')}, and a "
        "dataset holds plain files and folders only; nothing was read or written: put the file or "
        "folder itself here, or remove it"
    )


def too_large(path: object, most_bytes: int) -> DatasetError:
    """What to raise for a file that is too large for what it is."""
    return DatasetError(
        f"{one_line_text(str(path))}: more than {most_bytes / 2**20:.0f} MiB, which no file of "
        "segpipe's of this name has; restore it from a copy"
    )


def _refuse_others(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise not_plain(path, mode)
