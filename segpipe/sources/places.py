"""Paths by which files are known, and the way back from what a table says of them."""

from __future__ import annotations

import os
import re
from pathlib import Path
from stat import S_ISREG

from segpipe.core.types import FileStamp

_ESCAPED = re.compile(rb"\\x([89a-f][0-9a-f])")
"""What `printable_text` makes of a byte that is no UTF-8."""


def resolved(path: Path) -> Path:
    """The absolute path without links; with them where they lead in a circle, or the system takes
    no such name."""
    try:
        return path.resolve()
    except (OSError, RuntimeError, ValueError):
        return path.absolute()


def leads_into(path: Path, folder: Path) -> bool:
    """Whether what a path stands for, all links followed, is a resolved folder or lies in it."""
    return resolved(path).is_relative_to(folder)


class Folders:
    """Folders, each resolved once."""

    def __init__(self) -> None:
        self._known: dict[str, Path] = {}

    def place(self, path: Path) -> Path:
        """A path whose folder is resolved and whose name is as it was found."""
        folder, name = os.path.split(path)
        if folder not in self._known:
            self._known[folder] = resolved(Path(folder))
        return self._known[folder] / name


def resolved_folder(path: Path) -> Path:
    """A path whose folder is resolved and whose name is as it was found."""
    return Folders().place(path)


def path_at(uri: str) -> Path:
    """The path of an address out of a table, where bytes of a name that are no UTF-8 stand as
    escapes."""
    path = Path(uri)
    if "\\x" not in uri or os.path.lexists(path):
        return path
    raw = _ESCAPED.sub(lambda m: bytes([int(m[1], 16)]), uri.encode("utf-8", "surrogateescape"))
    return Path(os.fsdecode(raw))


def stamp(path: Path) -> FileStamp:
    """Size and modification time; both -1 where the file can't be reached (a broken link, say):
    reading it will tell. A pipe or a device is no file, and waits for ever or has no end."""
    try:
        status = path.stat()
    except OSError:
        return FileStamp(path.name, -1, -1, str(path))
    if not S_ISREG(status.st_mode):
        return FileStamp(path.name, -1, -1, str(path))
    return FileStamp(path.name, status.st_size, status.st_mtime_ns, str(path))
