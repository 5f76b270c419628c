"""Sources: from paths to shards, and from a shard to frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from segpipe import stopping
from segpipe.config import Job, Sampling
from segpipe.errors import SourceError
from segpipe.frames import FileStamp, Frame, FrameFailure, FrameRef, Shard, SourceInfo
from segpipe.sources.decoding import PLAIN, Decoding
from segpipe.sources.discover import Footage, discover
from segpipe.sources.identity import source_info, stamp
from segpipe.sources.images import ImageFolder
from segpipe.sources.video import VideoFile, unreadable_shard
from segpipe.telemetry.locate import NOWHERE, Locator

__all__ = [
    "Footage",
    "ImageFolder",
    "VideoFile",
    "discover",
    "open_shard",
    "plan",
    "refs_of",
    "shards_of_video",
    "unreadable_shard",
]


KnownShards = Callable[[SourceInfo, FileStamp], list[Shard] | None]
"""The shards of a video as far as they are known without reading it, or None."""
LocatorOf = Callable[[str], Locator]
"""The locator of a source, by its id."""
ShardsOf = Callable[[Path, Sampling, int, Locator, Decoding], list[Shard]]
"""What reads a video's index: `shards_of_video`, or the same in another process."""


def shards_of_video(
    path: Path, sampling: Sampling, frames_per_shard: int, locator: Locator = NOWHERE, decoding: Decoding = PLAIN
) -> list[Shard]:
    """The shards of one video, or the one that records why it can't be read."""
    try:
        return VideoFile.at(path, sampling, decoding, locator).shards(frames_per_shard)
    except SourceError as error:
        return [unreadable_shard(source_info(path, "video"), path, str(error), transient=error.transient)]


def plan(
    job: Job,
    footage: Footage | None = None,
    known: KnownShards | None = None,
    locate: LocatorOf = lambda _: NOWHERE,
    shards_of: ShardsOf = shards_of_video,
) -> list[Shard]:
    """Every shard of the job's inputs, videos first. A video that can't be opened is a shard of one failed row."""
    footage = footage or discover(job.inputs)
    shards: list[Shard] = []
    decoding = Decoding(max_pixels=job.read.max_pixels)
    for path in footage.videos:
        stopping.check()
        info = source_info(path, "video")
        old = known(info, stamp(path)) if known else None
        shards += old or shards_of(path, job.sampling, job.store.frames_per_shard, locate(info.source_id), decoding)
    for folder, files in footage.images.items():
        shards += ImageFolder.at(folder, files).shards(job.store.frames_per_shard)
    return shards


def open_shard(
    shard: Shard, sampling: Sampling, decoding: Decoding = PLAIN, locator: Locator = NOWHERE
) -> Iterator[Frame | FrameFailure]:
    """Decode a shard's frames in order, each with its time and place. What can't be read is a FrameFailure."""
    if shard.unreadable:
        yield FrameFailure(_unread(shard), shard.unreadable, shard.transient)
    else:
        yield from _source(shard, sampling, decoding, locator).frames(shard)


def refs_of(shard: Shard, sampling: Sampling, decoding: Decoding = PLAIN, locator: Locator = NOWHERE) -> list[tuple[FrameRef, int]]:
    """What each wanted frame of a shard is, in the order in which `open_shard` gives them, and which of them are decoded together:
    frames of one number are."""
    if shard.unreadable:
        return [(_unread(shard), 0)]
    source = _source(shard, sampling, decoding, locator)
    return list(zip(source.refs(shard), source.groups(shard), strict=True))


def _source(shard: Shard, sampling: Sampling, decoding: Decoding, locator: Locator) -> VideoFile | ImageFolder:
    path = Path(shard.source.uri)
    if shard.source.kind == "video":
        return VideoFile.at(path, sampling, decoding, locator)
    return ImageFolder.at(path, [path / f.name for f in shard.files], locator, decoding)


def _unread(shard: Shard) -> FrameRef:
    """The key of the one row of a source that can't be read."""
    kind = shard.name.rpartition(f"{shard.source.source_id}-")[2]
    return FrameRef(f"{shard.source.source_id}:{kind}", shard.source.source_id, shard.source.uri)
