"""The dataset's shards, to plan against."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from segpipe.core.types import Shard
from segpipe.runtime import stopping
from segpipe.sources import FoundSource, LocatorOf, source_of
from segpipe.store.records import ShardRecord
from segpipe.store.refresh import refresh_shard
from segpipe.store.writer import Store


class CommittedShards:
    """The dataset's shards by source, to plan against."""

    def __init__(self, store: Store) -> None:
        self.stale: set[str] = set()
        """Names of shards whose rows follow another ego mask than the source has now."""
        self.records: dict[str, list[ShardRecord]] = defaultdict(list)
        for record in store.replaced(store.records()):
            self.records[record.source.source_id].append(record)

    def refresh_positions(self, store: Store, locate: LocatorOf) -> int:
        """Bring the rows of sources whose clock or track has changed up to date; the number of rows
        in shards that were. Shards of which pixels have to be counted by another ego mask are noted
        as `stale`, to be done again."""
        rows = 0
        for source_id, records in self.records.items():
            locator = locate(source_id)
            ego = locator.facts.ego_digest() if locator.facts is not None else None
            self.stale |= {
                r.name for r in records if ego is not None and r.ego != ego and r.frames > r.failed
            }
            for i, record in enumerate(records):
                stopping.check()
                changed = refresh_shard(store, record, locator)
                if changed is not None:
                    records[i] = changed
                    rows += changed.frames
        return rows

    def known_shards(self, found: FoundSource, gave_up: bool = False) -> list[Shard] | None:
        """All shards of a film that is whole in the dataset without failures, or without such as
        may work at another time if reading it hit the time-out (`gave_up`): it needn't be read
        again. Where the track decides which frames are wanted, it is planned anew, and so are files
        that are frames."""
        if source_of(found.info.kind).files_are_frames:
            return None
        records = self.records[found.info.source_id]
        if any(r.chosen or r.name in self.stale for r in records):
            return None
        whole = (
            records
            and all(r.siblings == len(records) for r in records)
            and not any(r.transient if gave_up else r.failed for r in records)
        )
        whole = whole and len({r.expected for r in records}) == 1
        if not whole:
            return None
        return [replace(r.shard(), source=found.info, files=found.files) for r in records]

    def all(self) -> list[ShardRecord]:
        """All of them."""
        return [r for records in self.records.values() for r in records]

    def of_file(self, file_id: str) -> list[ShardRecord]:
        """The shards of all sources that are in one file."""
        return [r for r in self.all() if r.source.file_id == file_id]
