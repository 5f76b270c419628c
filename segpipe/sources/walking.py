"""Files below a folder, each taken by a kind of source or counted as not read."""

from __future__ import annotations

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
from segpipe.sources.places import resolved, resolved_folder
from segpipe.sources.table import file_sources

log = logging.getLogger(__name__)
IGNORE = ".segpipeignore"
"""A folder that holds a file of this name is no footage."""
_SPECIAL = {
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


@dataclass
class Found:
    """What was found so far: files by the kind of source that they are of, and the rest."""

    taken: dict[str, set[Path]] = field(default_factory=lambda: defaultdict(set))
    files: set[str] = field(default_factory=set)
    linked: set[str] = field(default_factory=set)
    ignored: set[str] = field(default_factory=set)

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

    def not_read(self) -> NotRead:
        """What was not taken."""
        return NotRead(frozenset(self.files), frozenset(self.linked), frozenset(self.ignored))


def walk(folder: Path, found: Found) -> Iterator[Path]:
    """Every visible file below a folder, in order. Linked folders are not entered, for they may
    lead in circles, but noted."""

    def tell(error: OSError) -> None:
        log.warning(
            "%s: this folder can't be read (%s) and is passed over", error.filename, error.strerror
        )

    for place, folders, files in os.walk(folder, onerror=tell):
        if IGNORE in files and Path(place) != folder:  # who names it wants it
            folders.clear()
            found.ignored.add(str(resolved(Path(place))))
            continue
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        links = (Path(place) / f for f in folders)
        found.linked.update(str(resolved_folder(p)) for p in links if p.is_symlink())
        paths = (Path(place) / f for f in sorted(files) if not f.startswith("."))
        yield from (p for p in paths if not by_name(p) or is_readable_kind(p))


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
