"""What is known of files: by their addresses, and by their content."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from segpipe.core.text import printable_text
from segpipe.core.types import FileStamp


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file as it was seen last at one address, `uri`. `key` is its content's, `body` the part of
    its fingerprint that stays when it grows, `digest` that of all of it, where it was taken.
    `hopeless`: none of its frames could be read."""

    source_id: str
    key: str
    uri: str
    size_bytes: int
    mtime_ns: int
    body: str = ""
    digest: str = ""
    hopeless: bool = False


class KnownFiles(Protocol):
    """The files that a dataset knows."""

    def at(self, uri: str) -> KnownFile | None:
        """What lay at an address when it was seen last."""
        ...

    def with_key(self, key: str) -> list[KnownFile]:
        """The addresses of a content, the latest first."""
        ...

    def in_folder(self, folder: str) -> str:
        """The id of the source that images in a folder belong to; empty where there is none."""
        ...

    def below(self, place: str) -> bool:
        """Whether anything was ever seen at this address or below it."""
        ...


class NothingKnown:
    """What is known without a dataset."""

    def at(self, uri: str) -> KnownFile | None:
        """Nothing."""
        return None

    def with_key(self, key: str) -> list[KnownFile]:
        """Nowhere."""
        return []

    def in_folder(self, folder: str) -> str:
        """None."""
        return ""

    def below(self, place: str) -> bool:
        """Nothing."""
        return False


NOTHING_KNOWN = NothingKnown()


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file that was found, and what it is. `how`: `known` (same place, size and time), `touched`
    (same content at the same place, another time), `moved` (a known content at another address),
    `grown` (it begins with what lay here before), `replaced` (nothing of what lay here before could
    be read), `another` (another recording than what lay here before), `new`, or `away` (it can't be
    read now). Rows of `replaces` have to go: it has grown, or nothing of it could be read.
    `same_bytes`: only the time in its name tells it from another file."""

    path: Path
    key: str
    size_bytes: int
    mtime_ns: int
    how: str = "new"
    source_id: str = ""
    body: str = ""
    digest: str = ""
    replaces: KnownFile | None = None
    same_bytes: bool = False

    @property
    def stamp(self) -> FileStamp:
        """Its stamp as a frame of its own, named by its content."""
        return FileStamp(self.key, self.size_bytes, self.mtime_ns, str(self.path), self.body)


class FoundSoFar:
    """What is known, and the files that were found beside it in this run."""

    def __init__(self, known: KnownFiles) -> None:
        self._known = known
        self._found: dict[str, list[KnownFile]] = defaultdict(list)
        self.at, self.in_folder, self.below = known.at, known.in_folder, known.below

    def with_key(self, key: str) -> list[KnownFile]:
        """The addresses of a content, those that were known first."""
        return self._known.with_key(key) + self._found.get(key, [])

    def add(self, file: FoundFile) -> None:
        """Note a file that was found. One that was known, or has no content, isn't needed."""
        if file.how != "known" and file.body:
            one = KnownFile(
                file.source_id,
                file.key,
                printable_text(str(file.path)),
                file.size_bytes,
                file.mtime_ns,
                file.body,
                file.digest,
            )
            self._found[file.key.partition("x")[0]].append(one)
