"""What is left to do: the plan less what the dataset holds; what changed on disk since is done again."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, replace

from segpipe.frames import FileStamp, Shard, SourceInfo
from segpipe.sources import LocatorOf
from segpipe.sources.images import image_shards
from segpipe.store.records import ShardRecord
from segpipe.store.relocate import relocate
from segpipe.store.writer import Store
from segpipe.text import printable_text

MOST_ATTEMPTS = 5
"""A transient failure is tried again by each run until it has failed so often; then only --retry-failed tries it."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pending:
    """`todo` shards in order; `frames_done` frames of the plan that the dataset holds already, `failed_before` of them
    as failures."""

    todo: tuple[Shard, ...]
    frames_done: int
    failed_before: int


class Known:
    """The dataset's shards by source, to plan against."""

    def __init__(self, store: Store) -> None:
        self.records: dict[str, list[ShardRecord]] = defaultdict(list)
        for record in store.replaced(store.records()):
            self.records[record.source.source_id].append(record)

    def put_right(self, store: Store, locate: LocatorOf) -> int:
        """Bring the rows of sources whose clock or track has changed up to date; the number of rows in shards that were."""
        rows = 0
        for source_id, records in self.records.items():
            locator = locate(source_id)
            for i, record in enumerate(records):
                changed = relocate(store, record, locator)
                if changed is not None:
                    records[i] = changed
                    rows += changed.frames
        return rows

    def video_shards(self, source: SourceInfo, now: FileStamp) -> list[Shard] | None:
        """All shards of a video that is whole in the dataset without failures and unchanged on disk: it needn't be read again.
        Where the track decides which frames are wanted, it is planned anew."""
        records = self.records[source.source_id]
        if any(r.chosen for r in records):
            return None
        whole = records and len(records) == records[0].siblings and not any(r.failed for r in records)
        whole = whole and not any(_changed(r.files[0], now) for r in records)
        return [r.shard() for r in records] if whole else None


def reconcile(store: Store, known: Known, planned: list[Shard], retry_failed: bool) -> Pending:
    """Compare the plan with the dataset, take out what is stale, and return what is left to do.

    What is taken out is always in the returned plan. Rows of images that this run doesn't name, or
    that have gone from the disk, stay.
    """
    wanted: dict[str, list[Shard]] = defaultdict(list)
    for shard in planned:
        wanted[shard.source.source_id].append(shard)
    todo: list[Shard] = []
    done = failed = 0
    for source_id, shards in wanted.items():
        records = known.records[source_id]
        if shards[0].source.kind == "video":
            kept = _keep_video(store, records, shards, retry_failed)
            have = {r.name for r in kept}
            tries = {r.name: r.attempt + 1 for r in records if r.failed and not _changed(r.files[0], shards[0].files[0])}
            missing = [replace(s, attempt=tries.get(s.name, 0)) for s in shards if s.name not in have]
            todo += [] if _unreachable(shards, kept) else missing
            done += sum(r.frames for r in kept)
            failed += sum(r.failed for r in kept)
        else:
            names = _keep_images(store, records, shards, retry_failed)
            files = [f for s in shards for f in s.files]
            new = tuple(f for f in files if printable_text(f.name) not in names)
            todo += _new_images(records, shards[0].source, new, store.settings.frames_per_shard)
            done += len(files) - len(new)
            failed += sum(names.get(printable_text(f.name), False) for f in files)
    return Pending(tuple(todo), done, failed)


def _keep_video(store: Store, records: list[ShardRecord], shards: list[Shard], retry_failed: bool) -> list[ShardRecord]:
    """A video's shards that stay. All go when the file changed. One that is to be tried again stays on the disk until its new rows
    are committed: the footage may be away by then."""
    now, names, wanted = shards[0].files[0], {s.name for s in shards}, {(s.name, s.chosen) for s in shards}
    kept = []
    for record in records:
        replanned = (record.name, record.chosen) not in wanted and not _unreachable(shards, [record])
        again = (retry_failed and record.failed) or (record.transient and record.attempt + 1 < MOST_ATTEMPTS)
        if _changed(record.files[0], now) or replanned:
            store.discard(record.name)
        elif not (again and record.name in names):
            kept.append(record)
    return kept


def _unreachable(shards: list[Shard], kept: list[ShardRecord]) -> bool:
    """A video that can't be opened now, but could when its shards were written, and hasn't changed: a drive or a network that is
    away for a moment must not cost what was done."""
    away = all(s.unreadable for s in shards) and any(r.frames > r.failed for r in kept)
    if away:
        log.warning("%s: can't be opened now (%s); its rows stay", shards[0].source.uri, shards[0].unreadable)
    return away


def _keep_images(store: Store, records: list[ShardRecord], shards: list[Shard], retry_failed: bool) -> dict[str, bool]:
    """Names of the folder's images that stay in the dataset, each with whether it had failed."""
    now = {printable_text(f.name): f for s in shards for f in s.files}
    kept: dict[str, bool] = {}
    for record in records:
        failed = set(record.failed_files)
        again = failed if retry_failed else set(record.transient_files if record.attempt + 1 < MOST_ATTEMPTS else ())
        stay = [f.name for f in record.files if f.name not in now or not (_changed(f, now[f.name]) or f.name in again)]
        if len(stay) < len(record.files):
            store.keep_only(record, stay)
        kept |= {name: name in failed for name in stay}
    return kept


def _new_images(records: list[ShardRecord], source: SourceInfo, files: tuple[FileStamp, ...], size: int) -> list[Shard]:
    """Shards of images that have to be done, each of images that were tried equally often: one that is new must not be given up
    because its neighbours have failed before."""
    stamps = {f.name: (r.attempt + 1, f) for r in records for f in r.files}
    tried = {name: stamps[name] for r in records for name in r.failed_files if name in stamps}
    groups: dict[int, list[FileStamp]] = defaultdict(list)
    for file in files:
        attempt, then = tried.get(printable_text(file.name), (0, file))
        groups[0 if _changed(then, file) else attempt].append(file)
    return [
        replace(shard, attempt=attempt) for attempt, group in groups.items() for shard in image_shards(source, tuple(group), size)
    ]


def _changed(then: FileStamp, now: FileStamp) -> bool:
    """Another size or time than when the shard was written; a file that can't be reached now hasn't changed."""
    return now.size_bytes >= 0 and (now.size_bytes, now.mtime_ns) != (then.size_bytes, then.mtime_ns)
