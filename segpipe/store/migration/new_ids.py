"""New names for the sources of a dataset whose ids were made from paths: by their content where
the footage is still there, by their old id where it isn't."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from segpipe.core.text import printable_text
from segpipe.core.types import FileStamp, SourceInfo
from segpipe.sources import source_of
from segpipe.sources.fingerprint import Fingerprint, fingerprint, gone_key
from segpipe.sources.places import stamp
from segpipe.store.address import Address, key_of
from segpipe.store.addresses import Addresses
from segpipe.store.records import ShardRecord

_LIKE_A_STREAM = re.compile(r"v\d+-")
"""What the id of a video stream that isn't the default one begins with."""
GONE, COPY, THERE = "gone", "copy", "there"


@dataclass(frozen=True, slots=True)
class NewSource:
    """A source as the migrated dataset knows it. `files` are its files by the names that they had
    in the shards' records. `footage`: whether at least one of them is `there` as it was recorded;
    else whether all are `gone` (or have changed), or one is a `copy` of another source's."""

    info: SourceInfo
    footage: str = THERE
    files: dict[str, FileStamp] = field(default_factory=dict)

    @property
    def by_file(self) -> bool:
        """Whether its frames are files."""
        return source_of(self.info.kind).files_are_frames

    @property
    def fingerprint(self) -> str | None:
        """The fingerprint of the file that it is in, where that is known."""
        kind = source_of(self.info.kind)
        of_file = kind.replayable and not kind.files_are_frames and self.footage == THERE
        return self.info.file_id if of_file else None

    def key(self, name: str, old: SourceInfo) -> str:
        """The key of an image's content, by its name in the old dataset."""
        known = self.files.get(name)
        return gone_key(Path(old.uri) / name) if known is None else known.name

    def frame_id(self, frame_id: str, old: SourceInfo) -> str:
        """The new id of a frame."""
        rest = frame_id.partition(":")[2]
        return f"{self.info.source_id}:{self.key(rest, old) if self.by_file else rest}"


class _Contents:
    """The contents of files that lie where they were recorded; each belongs to one address."""

    def __init__(self) -> None:
        self._homes: dict[str, str] = {}
        self._known: dict[tuple[str, int, int], Fingerprint | None] = {}

    def look(self, uri: str, then: FileStamp) -> tuple[str, Fingerprint | None]:
        """Whether a file is there as it was recorded, and what it holds."""
        where = (uri, then.size_bytes, then.mtime_ns)
        if where not in self._known:
            self._known[where] = _content(Path(uri), then)
        found = self._known[where]
        if found is None:
            return GONE, None
        return (THERE if self._homes.setdefault(found.key, uri) == uri else COPY), found


def new_sources(rows: Iterable[SourceInfo], records: Iterable[ShardRecord]) -> dict[str, NewSource]:
    """The new source of each old id; `rows` are the sources of the table `sources`. Files are read
    in the order of their addresses: of the same content the first one counts, and the others keep
    their old ids, for their rows stay."""
    infos = {info.source_id: info for info in rows}
    files: dict[str, dict[str, FileStamp]] = defaultdict(dict)
    for record in records:
        infos[record.source.source_id] = record.source
        files[record.source.source_id] |= {f.name: f for f in record.files}
    contents = _Contents()
    found = {}
    for source_id, info in sorted(infos.items(), key=lambda item: (item[1].uri, item[0])):
        kind = source_of(info.kind)
        if not kind.replayable:
            found[source_id] = NewSource(info)
        elif kind.files_are_frames:
            found[source_id] = _folder(info, files[source_id], contents)
        else:
            found[source_id] = _film(info, files[source_id], contents)
    return found


def _film(info: SourceInfo, files: dict[str, FileStamp], contents: _Contents) -> NewSource:
    then = next(iter(files.values()), None)
    # A row without shards says nothing of size and time, and holds only what is found anew
    then = stamp(Path(info.uri)) if then is None else then
    footage, content = contents.look(info.uri, then)
    if footage == THERE and content is not None:
        which = "" if info.stream is None else f"v{info.stream}-"
        new_id, body = f"{which}{content.key}", content.body
    else:
        new_id, body = _kept_id(info), ""
    stamps = {name: replace(f, uri=info.uri, body=body) for name, f in files.items()}
    return NewSource(replace(info, source_id=new_id), footage, stamps)


def _kept_id(info: SourceInfo) -> str:
    """The old id. The number of a video stream stands before that of its file now, and nothing
    else may look like it."""
    old = info.source_id
    if info.stream is not None:
        name, _, digest = old.rpartition(f"-v{info.stream}-")
        old = f"{name}-{digest}"
    if _LIKE_A_STREAM.match(old):
        old = f"old-{old}"
    return old if info.stream is None else f"v{info.stream}-{old}"


def _folder(info: SourceInfo, files: dict[str, FileStamp], contents: _Contents) -> NewSource:
    stamps, seen = {}, set()
    first = ""
    for name, then in sorted(files.items()):
        uri = str(Path(info.uri) / name)
        footage, content = contents.look(uri, then)
        seen.add(footage)
        if footage == THERE and content is not None:
            first = first or content.key
            stamps[name] = replace(then, name=content.key, uri=uri, body=content.body)
        else:
            stamps[name] = replace(then, name=gone_key(Path(uri)), uri=printable_text(uri))
    new_id = f"images-{first}" if first else info.source_id
    footage = next((f for f in (THERE, COPY) if f in seen), GONE)
    return NewSource(replace(info, source_id=new_id), footage, stamps)


def _content(path: Path, then: FileStamp) -> Fingerprint | None:
    """What a file holds; None where it isn't there any more as it was recorded."""
    now = stamp(path)
    if now.size_bytes <= 0:
        return None
    if (now.size_bytes, now.mtime_ns) != (then.size_bytes, then.mtime_ns):
        return None
    try:
        return fingerprint(path, now.size_bytes)
    except OSError:
        return None


def addresses_of(sources: Iterable[NewSource], seen_us: int) -> Addresses:
    """Where the footage was when it was read. All that is known of when is that it was before
    `seen_us`, UTC in microseconds since 1970."""
    return Addresses(
        Address(
            source.info.file_id,
            key_of(source.info, f),
            f.uri,
            f.size_bytes,
            f.mtime_ns,
            f.body,
            "",
            seen_us,
            seen_us,
        )
        for source in sources
        if source_of(source.info.kind).replayable
        for f in source.files.values()
    )
