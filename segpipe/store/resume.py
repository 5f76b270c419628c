"""What is left to do: the plan less what the dataset holds; what changed on disk since is done again."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, replace

from segpipe import stopping
from segpipe.frames import FileStamp, Shard, SourceInfo
from segpipe.sources import LocatorOf
from segpipe.sources.images import image_shards
from segpipe.store.records import ShardRecord
from segpipe.store.relocate import relocate, restate
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
        self.stale: set[str] = set()
        """Names of shards whose rows follow another ego mask than the source has now."""
        self.records: dict[str, list[ShardRecord]] = defaultdict(list)
        for record in store.replaced(store.records()):
            self.records[record.source.source_id].append(record)

    def put_right(self, store: Store, locate: LocatorOf) -> int:
        """Bring the rows of sources whose clock or track has changed up to date; the number of rows in shards that were. Shards of
        which pixels have to be counted by another ego mask are noted as `stale`, to be done again."""
        rows = 0
        for source_id, records in self.records.items():
            locator = locate(source_id)
            ego = locator.facts.ego_digest() if locator.facts is not None else None
            self.stale |= {r.name for r in records if ego is not None and r.ego != ego and r.frames > r.failed}
            for i, record in enumerate(records):
                stopping.check()
                changed = relocate(store, record, locator)
                if changed is not None:
                    records[i] = changed
                    rows += changed.frames
        return rows

    def video_shards(self, source: SourceInfo, now: FileStamp) -> list[Shard] | None:
        """All shards of a video that is whole in the dataset without failures and unchanged on disk: it needn't be read again.
        Where the track decides which frames are wanted, it is planned anew."""
        records = self.records[source.source_id]
        if any(r.chosen or r.name in self.stale for r in records):
            return None
        whole = records and all(r.siblings == len(records) for r in records) and not any(r.failed for r in records)
        whole = whole and len({r.expected for r in records}) == 1
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
        stopping.check()
        records = known.records[source_id]
        if shards[0].source.kind == "video":
            kept, away = _keep_video(store, known, shards, retry_failed)
            have = {r.name for r in kept}
            tries = {r.name: r.attempt + 1 for r in records if r.failed and not _changed(r.files[0], shards[0].files[0])}
            missing = [replace(s, attempt=tries.get(s.name, 0)) for s in shards if s.name not in have]
            todo += [] if away else missing
            done += sum(r.frames for r in kept)
            failed += sum(r.failed for r in kept)
        else:
            names = _keep_images(store, known, shards, retry_failed)
            files = [f for s in shards for f in s.files]
            new = tuple(f for f in files if printable_text(f.name) not in names)
            todo += _new_images(records, shards[0].source, new, store.settings.frames_per_shard)
            done += len(files) - len(new)
            failed += sum(names.get(printable_text(f.name), False) for f in files)
    return Pending(tuple(todo), done, failed)


def _keep_video(store: Store, known: Known, shards: list[Shard], retry_failed: bool) -> tuple[list[ShardRecord], bool]:
    """A video's shards that stay, and whether the video is away, so that all do. All go when the file changed. One that is to be
    tried again stays on the disk until its new rows are committed: the footage may be away by then."""
    records, now, planned = known.records[shards[0].source.source_id], shards[0].files[0], {s.name: s for s in shards}
    same = [r for r in records if not _changed(r.files[0], now)]
    for record in records:
        if record not in same:
            store.discard(record.name)
    if _away(shards, same):
        return same, True
    kept = []
    for record in same:
        plan = planned.get(record.name)
        again = (retry_failed and record.failed) or (record.transient and record.attempt + 1 < MOST_ATTEMPTS)
        if plan is None or plan.chosen != record.chosen or record.name in known.stale:
            store.discard(record.name)
        elif not again:
            kept.append(restate(store, record, plan))
    return kept, False


def _away(shards: list[Shard], records: list[ShardRecord]) -> bool:
    """A video that can't be opened now, or not be read as far as it was, and hasn't changed since its shards were written: a drive
    or a network that is away for a moment must not cost what was done."""
    lost = [s for s in shards if s.unreadable and (s.transient or len(shards) == 1)]
    farther = max((r.stop for r in records if r.frames > r.failed), default=0) > max(s.stop for s in shards)
    if lost and farther:
        log.warning("%s: can't be opened now (%s); its rows stay", lost[0].source.uri, lost[0].unreadable)
    return bool(lost) and farther


def _keep_images(store: Store, known: Known, shards: list[Shard], retry_failed: bool) -> dict[str, bool]:
    """Names of the folder's images that stay in the dataset, each with whether it had failed."""
    now = {printable_text(f.name): f for s in shards for f in s.files}
    kept: dict[str, bool] = {}
    for record in known.records[shards[0].source.source_id]:
        failed = set(record.failed_files)
        again = failed if retry_failed else set(record.transient_files if record.attempt + 1 < MOST_ATTEMPTS else ())
        again = again | {n for n, f in now.items() if f.size_bytes >= 0} if record.name in known.stale else again
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
