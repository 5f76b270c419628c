"""One shard, checked whole: its three files against each other, against its record, and a sample of
its masks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from segpipe.runtime.files.paths import AnyPath
from segpipe.store.records import ShardRecord
from segpipe.store.schema import TABLES
from segpipe.verify.class_stats import check_class_stats
from segpipe.verify.findings import WRONG_STATISTICS, Finding
from segpipe.verify.frames import FrameRows, read_frames, shown_frame
from segpipe.verify.masks import check_masks
from segpipe.verify.opened import UNREADABLE, broken
from segpipe.verify.recount import Recount
from segpipe.verify.sample import count_again

Wrong = list[tuple[str, str]]


@dataclass(frozen=True)
class ShardPaths:
    """Where a shard's files lie, with its record."""

    record: ShardRecord
    files: dict[str, AnyPath]


@dataclass
class CheckedShard:
    """What a shard holds: `hashes` uint64 of its frame ids, `done` frames with a mask and `failed`
    ones, and what was found."""

    record: ShardRecord
    done: int = 0
    failed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    hashes: NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))
    sampled: int = 0
    size_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)


def check_shard(shard: ShardPaths, sample: list[int], recount: Recount) -> CheckedShard:
    """Check one shard; `sample` are the places of the masks to count again."""
    record, found = shard.record, CheckedShard(shard.record)
    source_id, regions, classes = record.source.source_id, recount.regions.names, recount.classes
    frames: list[FrameRows] = []

    def look(table: str, check: Callable[[AnyPath], Wrong]) -> None:
        path = shard.files[table]
        try:
            found.size_bytes += path.stat().st_size if check is not of_sample else 0
            wrong = check(path)
        except UNREADABLE as error:
            found.findings.append(broken(path, table, record.name, error))
            return
        found.findings += [
            Finding(kind, table, record.name, source_id, text, True) for kind, text in wrong
        ]

    def of_frames(path: AnyPath) -> Wrong:
        frames.append(read_frames(path, record))
        return list(frames[0].wrong)

    def of_sample(path: AnyPath) -> Wrong:
        valid = (
            dict(zip(frames[0].ok_ids.to_pylist(), frames[0].valid_pixels.tolist(), strict=True))
            if sample
            else {}
        )
        found.sampled = len(sample)
        return [
            (WRONG_STATISTICS, f"{shown_frame(record, frame_id)}: {said}")
            for frame_id, said in count_again(shard.files["masks"], path, valid, sample, recount)
        ]

    look("frames", of_frames)
    whole = all(t in shard.files for t in TABLES)
    if frames:
        _take(found, frames[0], whole)
        if "masks" in shard.files:
            look("masks", lambda p: check_masks(p, frames[0], source_id))
        if "class_stats" in shard.files:
            look(
                "class_stats",
                lambda p: check_class_stats(p, frames[0], source_id, regions, classes),
            )
        # What is wrong already needn't be counted again
        if sample and whole and not found.findings:
            look("class_stats", of_sample)
    return found


def _take(found: CheckedShard, frames: FrameRows, whole: bool) -> None:
    """Frames count as done only where the shard has all its files."""
    found.done, found.failed = len(frames.ok_ids) if whole else 0, frames.failed
    found.reasons, found.hashes = frames.reasons, frames.hashes
