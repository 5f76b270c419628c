"""What lies in a folder, with what tells one state of a file from another: nothing is opened."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from segpipe.runtime.files.atomic import new_temp_file
from segpipe.runtime.files.paths import AnyPath, is_local, reaching

_ETAGS = ("ETag", "etag")
_CLOCK_STEP_NS = 2_000_000_000
"""The coarsest clock of a file system: FAT's."""


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as a listing has it. `mark` changes whenever the file is written: locally its
    modification time and inode, on an object store its ETag; empty where nothing tells.
    `mtime_ns` is the local modification time, 0 on an object store."""

    name: str
    size_bytes: int
    mark: str
    mtime_ns: int = field(default=0, compare=False)

    def is_settled(self, now_ns: int) -> bool:
        """Whether whatever is written after `now_ns`, a time by the file system's own clock, has
        another mark: on a coarse clock a file may change twice in one step."""
        return bool(self.mark) and (not self.mtime_ns or self.mtime_ns + _CLOCK_STEP_NS <= now_ns)


def list_states(folder: AnyPath, suffix: str) -> list[FileState]:
    """The files of a folder that end in `suffix`, by name. A folder that isn't there is empty.
    Raises DatasetError where an object store fails."""
    try:
        if is_local(folder):
            with os.scandir(folder) as entries:
                found = [_of_entry(e) for e in entries if e.name.endswith(suffix)]
        else:
            with reaching(folder):
                listed = folder.fs.ls(folder.path, detail=True)
            found = [s for s in map(_of_object, listed) if s.name.endswith(suffix)]
    except FileNotFoundError:
        return []
    return sorted(found, key=lambda state: state.name)


def _of_entry(entry: os.DirEntry[str]) -> FileState:
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:  # whoever opens it is told why
        return FileState(entry.name, -1, "")
    mark = f"{status.st_mtime_ns}-{status.st_ino}"
    return FileState(entry.name, status.st_size, mark, status.st_mtime_ns)


def _of_object(item: dict[str, Any]) -> FileState:
    etag = next((str(item[key]) for key in _ETAGS if item.get(key)), "")
    name = str(item["name"]).rstrip("/").rpartition("/")[2]
    return FileState(name, int(item.get("size") or 0), etag)


def size_bytes(folder: AnyPath) -> int:
    """Bytes of all files in a folder and below; no link is followed."""
    if is_local(folder):
        return sum(_sizes(folder))
    with reaching(folder):
        return int(folder.fs.du(folder.path))


def _sizes(folder: Path) -> Iterator[int]:
    waiting = [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                elif entry.is_file(follow_symlinks=False):
                    yield entry.stat(follow_symlinks=False).st_size


def clock_ns(path: AnyPath) -> int:
    """The time by the clock that marks the files beside `path`, in nanoseconds since 1970: that of
    a network drive is another machine's. 0 on an object store, whose marks are of the content.

    What tells it is the file that `atomic_write(path)` writes aside. Raises OSError.
    """
    if not is_local(path):
        return 0
    aside = new_temp_file(path)
    now_ns = aside.stat().st_mtime_ns
    aside.unlink()
    return now_ns
