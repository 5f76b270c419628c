"""Sources: from paths to shards, and from a shard to frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from segpipe.config import Job, Sampling
from segpipe.errors import SourceError
from segpipe.frames import FileStamp, Frame, FrameFailure, FrameRef, Shard, SourceInfo
from segpipe.sources.discover import Footage, discover
from segpipe.sources.identity import source_info, stamp
from segpipe.sources.images import ImageFolder
from segpipe.sources.video import VideoFile, unreadable_shard
from segpipe.telemetry.locate import NOWHERE, Locator

__all__ = ["Footage", "ImageFolder", "VideoFile", "discover", "open_shard", "plan", "shards_of_video"]


KnownShards = Callable[[SourceInfo, FileStamp], list[Shard] | None]
"""The shards of a video as far as they are known without reading it, or None."""
LocatorOf = Callable[[str], Locator]
"""The locator of a source, by its id."""


def plan(
    job: Job, footage: Footage | None = None, known: KnownShards | None = None, locate: LocatorOf = lambda _: NOWHERE
) -> list[Shard]:
    """Every shard of the job's inputs, videos first. A video that can't be opened is a shard of one failed row."""
    footage = footage or discover(job.inputs)
    shards: list[Shard] = []
    for path in footage.videos:
        info = source_info(path, "video")
        old = known(info, stamp(path)) if known else None
        shards += old or shards_of_video(path, job.sampling, job.store.frames_per_shard, locate(info.source_id))
    for folder, files in footage.images.items():
        shards += ImageFolder.at(folder, files).shards(job.store.frames_per_shard)
    return shards


def shards_of_video(path: Path, sampling: Sampling, frames_per_shard: int, locator: Locator = NOWHERE) -> list[Shard]:
    """The shards of one video, or the one that records why it can't be read."""
    try:
        return VideoFile.at(path, sampling, locator=locator).shards(frames_per_shard)
    except SourceError as error:
        return [unreadable_shard(source_info(path, "video"), path, str(error), transient=error.transient)]


def open_shard(
    shard: Shard, sampling: Sampling, decode_threads: int = 1, locator: Locator = NOWHERE
) -> Iterator[Frame | FrameFailure]:
    """Decode a shard's frames in order, each with its time and place. What can't be read is a FrameFailure."""
    path = Path(shard.source.uri)
    if shard.unreadable:
        kind = shard.name.rpartition(f"{shard.source.source_id}-")[2]
        ref = FrameRef(f"{shard.source.source_id}:{kind}", shard.source.source_id, shard.source.uri)
        yield FrameFailure(ref, shard.unreadable, shard.transient)
    elif shard.source.kind == "video":
        yield from VideoFile.at(path, sampling, decode_threads, locator).frames(shard)
    else:
        yield from ImageFolder.at(path, [path / f.name for f in shard.files], locator).frames(shard)
