"""From what the user named to the sources behind it, such as videos and folders of images."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from segpipe.core.errors import SourceError
from segpipe.sources.base import FoundSource
from segpipe.sources.identity import identify
from segpipe.sources.inputs import expand
from segpipe.sources.known_files import NOTHING_KNOWN, FoundFile, FoundSoFar, KnownFile, KnownFiles
from segpipe.sources.not_read import NotRead
from segpipe.sources.places import Folders, resolved
from segpipe.sources.table import file_sources
from segpipe.sources.walking import Found, known_extensions, special_kind, walk


@dataclass(frozen=True, slots=True)
class Footage:
    """The sources behind the inputs, kind by kind, sorted, each once."""

    sources: tuple[FoundSource, ...]
    not_read: NotRead = field(default=NotRead(), compare=False)
    """What was found beside them and is none of theirs."""
    files: tuple[FoundFile, ...] = field(default=(), compare=False)
    """The files of the sources."""
    copies: tuple[tuple[FoundFile, FoundFile], ...] = field(default=(), compare=False)
    """Files of the same content as another one, each with that one, which counts."""

    def replaced(self) -> list[KnownFile]:
        """What lay in the files' places before and has to go; not what is still there elsewhere."""
        files = [*self.files, *(copy for copy, _ in self.copies)]
        here = {file.key for file in files}
        gone = {f.replaces.key: f.replaces for f in files if f.replaces is not None}
        return [before for key, before in gone.items() if key not in here]


def discover(
    inputs: tuple[str, ...] | list[str],
    known: KnownFiles = NOTHING_KNOWN,
    full: bool = False,
    follow_links: bool = False,
) -> Footage:
    """Find the footage behind files, folders (recursively) and globs; the case of an extension
    doesn't matter. What is `known` isn't read; `full` as in `identify`. What links in a folder lead
    to outside of it is read only with `follow_links`; an input may itself be a link.

    Hidden files and folders are passed over without a word. What else isn't read is in `not_read`:
    other files, low-resolution copies, linked folders, links that lead outside, folders that lie
    too deep, and folders below with a file `.segpipeignore`. Raises SourceError for a path that
    doesn't exist, a file that is neither image nor video, a pipe, a glob without a match, and a
    folder in which there is nothing to do; but not for a place where footage was once: cards are
    wiped.
    """
    found = Found(follow_links)
    for text in inputs:
        for path, named in expand(text, found, known):
            if os.path.isdir(path):
                files = list(walk(path, found))
                taken = [found.add(file) for file in files]
                if not any(taken) and not known.below(str(resolved(path))):
                    raise SourceError(_nothing_in(path, files, found))
            elif special := special_kind(path):
                raise SourceError(
                    f"{path}: {special} and no file; name a file, a folder or a pattern"
                )
            elif not found.add(path, named) and named:
                raise SourceError(
                    f"{path}: neither an image nor a video by its extension; {known_extensions()}"
                )
    return _footage(found, known, full)


def _nothing_in(folder: Path, files: list[Path], found: Found) -> str:
    """What is said of a folder without footage."""
    own = frozenset(str(f) for f in files)
    others = replace(found.not_read(), files=own, ignored=frozenset()).describe()
    said = f"({len(files)} other files{f'; {others}' if others else ''})"
    return f"{folder}: no images or videos in this folder {said}; {known_extensions()}"


def _footage(found: Found, known: KnownFiles, full: bool) -> Footage:
    """The sources that the files make."""
    known_now = FoundSoFar(known)
    sources: list[FoundSource] = []
    files: list[FoundFile] = []
    copies: list[tuple[FoundFile, FoundFile]] = []
    folders = Folders()
    for kind in file_sources():
        paths = (folders.place(path) for path in found.taken.get(kind.kind, ()))
        places = sorted({kind.place(path) for path in paths})
        own, others = _without_copies(_identified(places, known_now, full))
        sources += kind.discover(own, known)
        files += own
        copies += others
    return Footage(tuple(sources), found.not_read(), tuple(files), tuple(copies))


def _identified(places: list[Path], known: FoundSoFar, full: bool) -> Iterator[FoundFile]:
    for path in places:
        file = identify(path, known, full)
        known.add(file)
        yield file


def _without_copies(
    files: Iterable[FoundFile],
) -> tuple[list[FoundFile], list[tuple[FoundFile, FoundFile]]]:
    """Files of one content once, where it was known if it was; and the others, each with that
    one."""
    counted: dict[str, FoundFile] = {}
    others: list[FoundFile] = []
    for file in files:
        first = counted.setdefault(file.key, file)
        if first is not file and file.how == "known" != first.how:
            counted[file.key], file = file, first
        if counted[file.key] is not file:
            others.append(file)
    return list(counted.values()), [(other, counted[other.key]) for other in others]
