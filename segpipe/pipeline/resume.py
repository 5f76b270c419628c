"""What is left to do: the plan less what the dataset holds; what changed on disk since is done
again."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, replace

from segpipe.core.types import FileStamp, Shard, SourceInfo
from segpipe.pipeline.committed import CommittedShards
from segpipe.pipeline.retries import MOST_ATTEMPTS
from segpipe.runtime import stopping
from segpipe.sources import source_of
from segpipe.sources.shards import shards_of_files
from segpipe.store.records import ShardRecord
from segpipe.store.refresh import refresh_plan
from segpipe.store.writer import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pending:
    """`todo` shards in order; `frames_done` frames of the plan that the dataset holds already,
    `failed_before` of them as failures."""

    todo: tuple[Shard, ...]
    frames_done: int
    failed_before: int


def reconcile(
    store: Store, known: CommittedShards, planned: list[Shard], retry_failed: bool
) -> Pending:
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
        if not source_of(shards[0].source.kind).files_are_frames:
            kept, away = _keep_film(store, known, shards, retry_failed)
            have = {r.name for r in kept}
            tries = {r.name: r.attempt + 1 for r in records if r.failed}
            missing = [
                replace(s, attempt=tries.get(s.name, 0)) for s in shards if s.name not in have
            ]
            todo += [] if away else missing
            done += sum(r.frames for r in kept)
            failed += sum(r.failed for r in kept)
        else:
            names = _keep_files(store, known, shards, retry_failed)
            files = [f for s in shards for f in s.files]
            new = tuple(f for f in files if f.name not in names)
            todo += _new_files(records, shards[0].source, new, store.settings.frames_per_shard)
            done += len(files) - len(new)
            failed += sum(names.get(f.name, False) for f in files)
    return Pending(tuple(todo), done, failed)


def _keep_film(
    store: Store, known: CommittedShards, shards: list[Shard], retry_failed: bool
) -> tuple[list[ShardRecord], bool]:
    """A video's shards that stay, and whether the video is away, so that all do. One that is to be
    tried again stays on the disk until its new rows are committed: the footage may be away by
    then."""
    records = known.records[shards[0].source.source_id]
    planned = {s.name: s for s in shards}
    if _away(shards, records):
        return records, True
    kept = []
    for record in records:
        plan = planned.get(record.name)
        again = (retry_failed and record.failed) or (
            record.transient and record.attempt + 1 < MOST_ATTEMPTS
        )
        if plan is None or plan.chosen != record.chosen or record.name in known.stale:
            store.discard(record.name)
        elif not again:
            kept.append(refresh_plan(store, record, plan))
    return kept, False


def _away(shards: list[Shard], records: list[ShardRecord]) -> bool:
    """A video that can't be opened now, or not be read as far as it was: a drive or a network that
    is away for a moment must not cost what was done."""
    lost = [s for s in shards if s.unreadable and (s.transient or len(shards) == 1)]
    farther = max((r.stop for r in records if r.frames > r.failed), default=0) > max(
        s.stop for s in shards
    )
    if lost and farther:
        log.warning(
            "%s: can't be opened now (%s); its rows stay", lost[0].source.uri, lost[0].unreadable
        )
    return bool(lost) and farther


def _keep_files(
    store: Store, known: CommittedShards, shards: list[Shard], retry_failed: bool
) -> dict[str, bool]:
    """Keys of the folder's images that stay in the dataset, each with whether it had failed."""
    now = {f.name: f for s in shards for f in s.files}
    kept: dict[str, bool] = {}
    for record in known.records[shards[0].source.source_id]:
        failed = set(record.failed_files)
        again = (
            failed
            if retry_failed
            else set(record.transient_files if record.attempt + 1 < MOST_ATTEMPTS else ())
        )
        again = (
            again | {n for n, f in now.items() if f.size_bytes >= 0}
            if record.name in known.stale
            else again
        )
        stay = [f.name for f in record.files if f.name not in now or f.name not in again]
        if len(stay) < len(record.files):
            store.keep_only(record, stay)
        kept |= {name: name in failed for name in stay}
    return kept


def _new_files(
    records: list[ShardRecord], source: SourceInfo, files: tuple[FileStamp, ...], size: int
) -> list[Shard]:
    """Shards of images that have to be done, each of images that were tried equally often: one that
    is new must not be given up because its neighbours have failed before."""
    tried = {key: r.attempt + 1 for r in records for key in r.failed_files}
    groups: dict[int, list[FileStamp]] = defaultdict(list)
    for file in files:
        groups[tried.get(file.name, 0)].append(file)
    return [
        replace(shard, attempt=attempt)
        for attempt, group in groups.items()
        for shard in shards_of_files(source, tuple(group), size)
    ]
