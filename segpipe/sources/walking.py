"""Files below a folder, each taken by a kind of source or counted as not read."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from segpipe.core.text import printable_text
from segpipe.sources.base import FileSource
from segpipe.sources.not_read import COPIES, NotRead, is_copy
from segpipe.sources.places import leads_into, resolved, resolved_folder
from segpipe.sources.table import file_sources

log = logging.getLogger(__name__)
IGNORE = ".segpipeignore"
"""A folder that holds a file of this name is no footage."""
MOST_DEEP = 256
"""Folders may lie so deep in each other. No camera goes near it, and a path has 4096 bytes."""
_SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass
class Found:
    """What was found so far: files by the kind of source that they are of, and the rest.
    `follow_links`: also what links lead to outside of the folder that was named."""

    follow_links: bool = False
    taken: dict[str, set[Path]] = field(default_factory=lambda: defaultdict(set))
    files: set[str] = field(default_factory=set)
    linked: set[str] = field(default_factory=set)
    ignored: set[str] = field(default_factory=set)
    outside: set[str] = field(default_factory=set)
    deep: set[str] = field(default_factory=set)

    def add(self, path: Path, named: bool = False) -> bool:
        """Take a file, or count it as not read. A camera's low-resolution copy is taken only where
        it was `named`."""
        suffix = path.suffix.lower()
        kind = next((s.kind for s in file_sources() if suffix in s.suffixes), None)
        if kind is None or (is_copy(path) and not named):
            self.skip(path)
            return False
        self.taken[kind].add(path)
        return True

    def skip(self, path: Path) -> None:
        """Count a file that isn't read, once, however often it is found."""
        self.files.add(str(resolved_folder(path)))

    def may_follow(self, path: Path, inside: Path) -> bool:
        """Whether a path may be read: it leads to something in the folder `inside`, which is
        resolved, or links are followed anywhere. One that may not is counted."""
        if self.follow_links or leads_into(path, inside):
            return True
        self.outside.add(str(resolved_folder(path)))
        return False

    def not_read(self) -> NotRead:
        """What was not taken."""
        return NotRead(
            frozenset(self.files),
            frozenset(self.linked),
            frozenset(self.ignored),
            frozenset(self.outside),
            frozenset(self.deep),
        )


def walk(folder: Path, found: Found) -> Iterator[Path]:
    """Every visible file below a folder, in order, but those that links lead to outside of it.
    Linked folders are entered only where links are followed, each folder once, for they may lead in
    circles; else they are noted. So are folders that lie too deep."""
    inside = resolved(folder)
    entered: set[Path] = set()
    left = [(folder, 0)]
    while left:
        place, depth = left.pop()
        if found.follow_links:
            real = resolved(place)
            if real in entered:
                continue
            entered.add(real)
        folders, files = _listed(place)
        if place != folder and any(f.name == IGNORE for f in files):  # who names it wants it
            found.ignored.add(str(resolved(place)))
            continue
        if depth >= MOST_DEEP and folders:
            found.deep.add(str(place))
            folders = []
        enter = [f for f in folders if found.follow_links or not f.is_symlink()]
        found.linked.update(str(resolved_folder(Path(f))) for f in folders if f not in enter)
        left += [(Path(f), depth + 1) for f in reversed(enter)]
        for file in (f for f in files if not f.name.startswith(".")):
            path = Path(file)
            if by_name(path) and not is_readable_kind(path):
                continue
            if not file.is_symlink() or found.may_follow(path, inside):
                yield path


def _listed(folder: Path) -> tuple[list[os.DirEntry[str]], list[os.DirEntry[str]]]:
    """The visible folders and all files in a folder, sorted; none where it can't be read, which is
    told."""
    try:
        with os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError as error:
        name = printable_text(str(folder))
        log.warning("%s: this folder can't be read (%s) and is passed over", name, error.strerror)
        return [], []
    folders = [entry for entry in found if _is_folder(entry)]
    files = [entry for entry in found if not _is_folder(entry)]
    return [f for f in folders if not f.name.startswith(".")], files


def _is_folder(entry: os.DirEntry[str]) -> bool:
    with contextlib.suppress(OSError):  # a link that leads in a circle
        return entry.is_dir()
    return False


def not_read_in(folder: Path) -> NotRead:
    """What lies in a folder, not below it, and isn't read. Raises OSError where the folder can't be
    listed."""
    found = Found()
    for path in folder.iterdir():
        if path.name.startswith("."):
            continue
        if not path.is_dir():
            found.add(path)
        elif path.is_symlink():
            found.linked.add(str(path))
        elif (path / IGNORE).exists():
            found.ignored.add(str(path))
    return found.not_read()


def by_name(path: Path) -> bool:
    """Whether a file is footage by its extension."""
    return any(path.suffix.lower() in _suffixes(source) for source in file_sources())


def is_readable_kind(path: Path) -> bool:
    """Whether a file that was found, not named, is one to open; what isn't must not end the job,
    and is told."""
    special = special_kind(path)
    if special:
        log.warning("%s: %s and no file; it is passed over", printable_text(str(path)), special)
    return not special


def special_kind(path: Path) -> str:
    """What a path is where it is no file to read: opening a pipe waits for ever, and a device may
    have no end. Empty for a file, and for a link to nothing, which is an error of its own row."""
    try:
        return _SPECIAL.get(stat.S_IFMT(os.stat(path).st_mode), "")
    except OSError as error:
        return "a link that leads in a circle" if error.errno == errno.ELOOP else ""


def known_extensions() -> str:
    """The extensions of all kinds, as the end of a sentence."""
    known = [" ".join(sorted(_suffixes(source))) for source in file_sources()]
    return f"known are {' and '.join(reversed(known))}"


def _suffixes(source: FileSource) -> frozenset[str]:
    """The extensions of a kind's files, without those of copies, which are read only by name."""
    return source.suffixes - COPIES
