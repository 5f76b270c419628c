"""Where each file of the footage was seen, and when: what a run knows files by, and where the
sources are looked for."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import replace

from segpipe.core.text import printable_text
from segpipe.sources.known_files import FoundFile, KnownFile
from segpipe.store.address import (
    Address,
    folder_of,
    homes_of,
    is_below,
    latest_first,
    useful_keys,
)
from segpipe.store.records import ShardRecord


class Addresses:
    """The addresses of a dataset's files; what `sources.known_files.KnownFiles` asks for."""

    def __init__(self, rows: Iterable[Address], records: Iterable[ShardRecord] = ()) -> None:
        self._rows: dict[tuple[str, str], Address] = {}
        self._at: dict[str, Address] = {}
        self._keys: dict[str, dict[str, Address]] = defaultdict(dict)
        self._variants: dict[str, set[str]] = defaultdict(set)
        """Keys of files that only a digest of all their bytes tells apart, by their fingerprint."""
        self._folders: dict[str, Address] = {}
        """The latest image of each folder."""
        self.useful = useful_keys(records)
        """Contents of which at least one frame could be read."""
        self.changed = False
        self._homes: dict[str, str] | None = None
        for row in rows:
            self._put(row)

    def _put(self, row: Address) -> None:
        self._homes = None
        self._rows[row.key, row.uri] = row
        self._keys[row.key][row.uri] = row
        if "x" in row.key:
            self._variants[row.key.partition("x")[0]].add(row.key)
        _put_latest(self._at, row.uri, row)
        if row.key != row.source_id:  # an image: a video's file is its source
            _put_latest(self._folders, folder_of(row.uri), row)

    def rows(self) -> list[Address]:
        """All addresses, by source, content and age."""
        return sorted(
            self._rows.values(), key=lambda r: (r.source_id, r.key, r.first_seen_us, r.uri)
        )

    def same_as(self, other: Addresses) -> bool:
        """Whether another one knows the same."""
        return self._rows == other._rows and self.useful == other.useful

    def at(self, uri: str) -> KnownFile | None:
        """What lay at an address when it was seen last."""
        row = self._at.get(uri)
        return None if row is None else self._known(row)

    def with_key(self, key: str) -> list[KnownFile]:
        """The addresses of a content, the latest first; also of files that only a digest of all
        their bytes tells from it."""
        keys = [key, *self._variants.get(key, ())]
        rows = [row for k in keys for row in self._keys.get(k, {}).values()]
        return [self._known(r) for r in sorted(rows, key=lambda r: -r.last_seen_us)]

    def in_folder(self, folder: str) -> str:
        """The id of the source that the latest image in a folder belongs to, empty where there was
        none."""
        row = self._folders.get(printable_text(folder))
        return row.source_id if row is not None else ""

    def below(self, place: str) -> bool:
        """Whether anything was ever seen at this address or below it."""
        place = printable_text(place)
        return place in self._at or any(is_below(uri, place) for uri in self._at)

    def latest(self, key: str) -> str:
        """Where a file was seen last; empty where nobody knows. Of copies that were seen together
        the address that is new, or the first by name: as the SQL view `sources` has it."""
        rows = self._keys[key].values() if key in self._keys else ()
        return min(rows, key=latest_first).uri if rows else ""

    def home(self, source_id: str) -> str:
        """The folder where images of a source were seen last; empty where there are none."""
        if self._homes is None:
            self._homes = homes_of(self._rows.values())
        return self._homes.get(source_id, "")

    def moved(self) -> list[tuple[str, str, str]]:
        """Source, key and latest address of each file that was seen at several."""
        return [
            (next(iter(rows.values())).source_id, key, self.latest(key))
            for key, rows in self._keys.items()
            if len(rows) > 1
        ]

    def see(self, files: Iterable[FoundFile], sources: dict[str, str], now_us: int = 0) -> None:
        """Note files that were found; `sources` are the ids of the sources that they are of, by
        their keys."""
        now_us = now_us or time.time_ns() // 1000
        for file in files:
            if file.how == "away" or file.key not in sources:
                continue
            uri = printable_text(str(file.path))
            before = self._rows.get((file.key, uri))
            self.changed = True
            self._put(
                Address(
                    sources[file.key],
                    file.key,
                    uri,
                    file.size_bytes,
                    file.mtime_ns,
                    file.body or (before.body if before else ""),
                    file.digest or (before.digest if before else ""),
                    before.first_seen_us if before else now_us,
                    now_us,
                )
            )

    def forget(self, source_id: str, key: str = "") -> None:
        """Take out a source's addresses, or those of one of its files."""
        among = self._keys.get(key, {}).values() if key else self._rows.values()
        for row in [r for r in among if r.source_id == source_id]:
            self.changed = True
            del self._rows[row.key, row.uri]
            del self._keys[row.key][row.uri]
            for index, place in ((self._at, row.uri), (self._folders, folder_of(row.uri))):
                if index.get(place) is row:
                    del index[place]
        self._homes = None

    def last_seen_below(self, place: str) -> list[Address]:
        """What was last seen at or below an address, and hasn't been seen elsewhere since."""
        rows = [r for r in self._at.values() if r.uri == place or is_below(r.uri, place)]
        since = {r.key: max(o.last_seen_us for o in self._keys[r.key].values()) for r in rows}
        found = [r for r in rows if r.last_seen_us == since[r.key]]
        return sorted(found, key=lambda r: r.uri)

    def move(self, old: str, new: str, now_us: int) -> int:
        """Note that what was last seen at or below an address is now at another; how many files
        that are."""
        moved = self.last_seen_below(old)
        for row in moved:
            uri = new.rstrip("/") + row.uri[len(old.rstrip("/")) :]
            self._put(replace(row, uri=uri, first_seen_us=now_us, last_seen_us=now_us))
        self.changed = self.changed or bool(moved)
        return len(moved)

    def _known(self, row: Address) -> KnownFile:
        return KnownFile(
            row.source_id,
            row.key,
            row.uri,
            row.size_bytes,
            row.mtime_ns,
            row.body,
            row.digest,
            hopeless=row.key not in self.useful,
        )


def _put_latest(index: dict[str, Address], place: str, row: Address) -> None:
    before = index.get(place)
    if before is None or before.last_seen_us <= row.last_seen_us:
        index[place] = row
