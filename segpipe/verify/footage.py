"""The dataset against the footage itself: the packet index of each video read again, where that is there and unchanged."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segpipe import isolation
from segpipe.config import Sampling
from segpipe.errors import SourceError
from segpipe.frames import FileStamp, Shard
from segpipe.sources import VideoFile
from segpipe.sources.identity import stamp
from segpipe.store.dataset import Dataset
from segpipe.store.places import AnyPath
from segpipe.store.records import ShardRecord
from segpipe.store.sources import read_facts
from segpipe.telemetry.locate import Locator
from segpipe.text import printable_text
from segpipe.verify.findings import MISSING, NOTE, WRONG_ROWS, Finding
from segpipe.verify.frames import ints
from segpipe.verify.opened import opened

_CLOSE_S = 1e-9


def compare_footage(dataset: Dataset, records: list[ShardRecord], files: dict[str, AnyPath]) -> list[Finding]:
    """What the footage that is there says otherwise. Footage that has gone or changed is a note: the next run sees to it."""
    found: list[Finding] = []
    by_source: dict[str, list[ShardRecord]] = defaultdict(list)
    for record in records:
        by_source[record.source.source_id].append(record)
    for source_id, shards in sorted(by_source.items()):
        notes = [f"{what}: what is here can't be held against it" for what in _away(shards)]
        found += [Finding(NOTE, "", "", source_id, text) for text in notes[:3]]
        if not notes and shards[0].source.kind == "video":
            found += _compare_video(dataset, sorted(shards, key=lambda r: r.start), files)
    return found


def _away(shards: list[ShardRecord]) -> list[str]:
    """Which files of a source have gone or changed since."""
    if shards[0].source.kind == "stream":
        return ["a live stream doesn't come back"]
    place = Path(shards[0].source.uri)
    names = {f.name: f for r in shards for f in r.files}
    paths = {name: place / name if shards[0].source.kind == "images" else place for name in names}
    said = [(paths[n], _changed(then, stamp(paths[n]))) for n, then in names.items()]
    return [printable_text(f"{path} {how}") for path, how in said if how]


def _changed(then: FileStamp, now: FileStamp) -> str:
    if now.size_bytes < 0:
        return "isn't there"
    return "" if (now.size_bytes, now.mtime_ns) == (then.size_bytes, then.mtime_ns) else "has changed"


def _compare_video(dataset: Dataset, records: list[ShardRecord], files: dict[str, AnyPath]) -> list[Finding]:
    source_id, path = records[0].source.source_id, Path(records[0].source.uri)
    locator = Locator(read_facts(dataset.root, source_id))
    try:
        sampling = Sampling(**dataset.manifest["sampling"])
        video: VideoFile = (
            isolation.call(_video_at, path, sampling, locator) if isolation.POSSIBLE else _video_at(path, sampling, locator)
        )
        planned = [s for s in video.shards(dataset.manifest["frames_per_shard"]) if s.stop]
    except (SourceError, isolation.ChildLost) as error:
        ranges = [r for r in records if r.stop]
        said = f"{path} can't be read now ({error})"
        return [Finding(NOTE, "", "", source_id, said)] if ranges else []
    expected = sum(s.frame_count for s in planned)
    there = sum(r.frames for r in records if r.stop)
    found = []
    if expected != there:
        said = f"its packet index has {expected} wanted frames, and {there} rows are there"
        found.append(Finding(MISSING if there < expected else WRONG_ROWS, "", "", source_id, said))
    names = {s.name: s for s in planned}
    for record in (r for r in records if r.stop and r.name in files):
        said = _compare_shard(files[record.name], names.get(record.name), video)
        found += [Finding(WRONG_ROWS, "frames", record.name, source_id, said, True)] if said else []
    return found


def _video_at(path: Path, sampling: Sampling, locator: Locator) -> VideoFile:
    """In a child process: a damaged index may crash what reads it."""
    return VideoFile.at(path, sampling, locator=locator)


def _compare_shard(path: AnyPath, planned: Shard | None, video: VideoFile) -> str:
    """What is wrong with a shard's rows by the packet index; empty where nothing is."""
    if planned is None:
        return "its packet index would be cut into other shards"
    with opened(path) as file:
        table = file.read(columns=["frame_index", "pts_s"], use_threads=False)
    if table.num_rows != planned.frame_count:
        return f"{table.num_rows} rows, and the packet index has {planned.frame_count} wanted frames there"
    index = ints(table["frame_index"].combine_chunks())
    if len(index) and (index.min() < 0 or index.max() >= len(video.index.pts)):
        return "a frame_index is beyond the packet index"
    times_s: NDArray[np.float64] = video.index.times_s[index]
    other = int((np.abs(table["pts_s"].to_numpy() - times_s) > _CLOSE_S * np.maximum(1.0, np.abs(times_s))).sum())
    return f"{other} rows have another pts_s than the packet index" if other else ""
