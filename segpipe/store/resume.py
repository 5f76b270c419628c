"""What is left to do: the plan less what the dataset holds; what changed on disk since is done again."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from segpipe.frames import FileStamp, Shard, SourceInfo
from segpipe.sources.identity import printable_text
from segpipe.sources.images import image_shards
from segpipe.store.writer import ShardRecord, Store


@dataclass(frozen=True, slots=True)
class Pending:
    """`todo` shards in order; `frames_done` frames of the plan that the dataset holds already; `redone` shards that
    were taken out because their files changed, or because failed ones were to be tried again."""

    todo: tuple[Shard, ...]
    frames_done: int
    redone: int


def reconcile(store: Store, planned: list[Shard], retry_failed: bool) -> Pending:
    """Compare the plan with the dataset, take out what is stale, and return what is left to do."""
    by_source: dict[str, list[ShardRecord]] = defaultdict(list)
    for record in store.records():
        by_source[record.source.source_id].append(record)
    wanted: dict[str, list[Shard]] = defaultdict(list)
    for shard in planned:
        wanted[shard.source.source_id].append(shard)
    todo: list[Shard] = []
    done = redone = 0
    for source_id, shards in wanted.items():
        stamps = {printable_text(f.name): f for s in shards for f in s.files}
        kept = []
        for record in by_source[source_id]:
            if _stale(record, stamps) or (retry_failed and record.failed) or _replanned(record, shards):
                store.discard(record.name)
                redone += 1
            else:
                kept.append(record)
        left, have = _left(shards, kept, store.settings.frames_per_shard)
        todo += left
        done += have
    return Pending(tuple(todo), done, redone)


def _stale(record: ShardRecord, now: dict[str, FileStamp]) -> bool:
    """A file that is there with another size or time than when the shard was written."""
    return any(f.name in now and (now[f.name].size_bytes, now[f.name].mtime_ns) != (f.size_bytes, f.mtime_ns) for f in record.files)


def _replanned(record: ShardRecord, shards: list[Shard]) -> bool:
    """A video's shard that the same file would no longer give (a newer FFmpeg that can read more of it, say)."""
    return record.source.kind == "video" and record.name not in {s.name for s in shards}


def _left(shards: list[Shard], kept: list[ShardRecord], frames_per_shard: int) -> tuple[list[Shard], int]:
    if shards[0].source.kind == "video":
        names = {r.name for r in kept}
        return [s for s in shards if s.name not in names], sum(s.frame_count for s in shards if s.name in names)
    have = {f.name for r in kept for f in r.files}
    files = [f for s in shards for f in s.files]
    new = tuple(f for f in files if printable_text(f.name) not in have)
    source: SourceInfo = shards[0].source
    return image_shards(source, new, frames_per_shard), len(files) - len(new)
