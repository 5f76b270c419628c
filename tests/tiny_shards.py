"""Shards of one failed frame each, written by the project's own writer: many of them, soon."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from pathlib import Path

from segpipe.core.config.job import Job
from segpipe.core.types import FileStamp, FrameFailure, FrameRef, Shard, SourceInfo
from segpipe.inference.models.preprocess import Preprocessing
from segpipe.inference.models.spec import ClassInfo, ModelSpec
from segpipe.runtime.files.paths import path_of
from segpipe.sources.ids import indexed_frame_id
from segpipe.store import Store, make_manifest

CLASSES = (ClassInfo(0, "road", (1, 2, 3)), ClassInfo(1, "sky", (4, 5, 6)))
HOUR_NS = 3_600 * 10**9


def tiny_store(root: Path | str) -> Store:
    """An empty dataset, or the one that is there."""
    job = Job(inputs=("/footage",), output=str(root))
    store = Store(path_of(root), job.store, CLASSES)
    store.prepare(make_manifest(job, ModelSpec("fake:", "0" * 12, CLASSES, Preprocessing()), "f32"))
    return store


def add_shards(store: Store, numbers: Iterable[int], size_bytes: int = 1) -> list[str]:
    """Shards of a video each; `size_bytes` is the video's. Their names."""
    names = []
    for number in numbers:
        source = SourceInfo(f"clip-{number:010x}", "video", f"/footage/clip{number}.mp4")
        stamp = FileStamp(f"clip{number}.mp4", size_bytes, 1, source.uri)
        name = f"{source.source_id}-00000000-00000001"
        shard = Shard(name, source, 1, (stamp,), 0, 1, siblings=1, expected=1)
        ref = FrameRef(indexed_frame_id(source.source_id, 0), source.source_id, source.uri, 0, 0.0)
        with store.writer(shard) as writer:
            writer.add(FrameFailure(ref, "made so"))
        names.append(name)
    return names


def age(root: Path, hours: int = 1) -> None:
    """As if all shards had been written hours ago: older than any clock is coarse."""
    then = time.time_ns() - hours * HOUR_NS
    for path in (root / "frames").iterdir():
        os.utime(path, ns=(then, then))
