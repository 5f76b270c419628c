"""Sources: from paths to shards, and from a shard to frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from segpipe.core.config.job import Job, Sampling
from segpipe.core.errors import SourceError
from segpipe.core.types import Frame, FrameFailure, FrameRef, Shard
from segpipe.runtime import stopping
from segpipe.sources.base import FoundSource, OpenedSource
from segpipe.sources.decoding import PLAIN, Decoding
from segpipe.sources.discovery import Footage, discover
from segpipe.sources.images.folder import ImageFolder
from segpipe.sources.shards import unreadable_shard
from segpipe.sources.table import SOURCES, file_source_of, source_of
from segpipe.sources.video.file import VideoFile
from segpipe.telemetry.locate import NOWHERE, Locator
from segpipe.telemetry.track import Float64

__all__ = [
    "SOURCES",
    "Footage",
    "FoundSource",
    "ImageFolder",
    "PlannedFilm",
    "VideoFile",
    "discover",
    "open_shard",
    "open_source",
    "plan",
    "planned_film",
    "refs_of",
    "shards_of",
    "source_of",
    "unreadable_shard",
]

KnownShards = Callable[[FoundSource], list[Shard] | None]
"""The shards of a source as far as they are known without reading it, or None."""
LocatorOf = Callable[[str], Locator]
"""The locator of a source, by its id."""
ShardsOf = Callable[[FoundSource, Sampling, int, Locator, Decoding], list[Shard]]
"""What plans a source: `shards_of`, or the same in another process."""


def open_source(
    found: FoundSource,
    sampling: Sampling,
    decoding: Decoding = PLAIN,
    locator: Locator = NOWHERE,
) -> OpenedSource:
    """A source opened by its row. Raises SourceError where that can't be done."""
    return file_source_of(found.info.kind).open(found, sampling, decoding, locator)


def shards_of(
    found: FoundSource,
    sampling: Sampling,
    frames_per_shard: int,
    locator: Locator = NOWHERE,
    decoding: Decoding = PLAIN,
) -> list[Shard]:
    """The shards of one source, or the one that records why it can't be read."""
    try:
        return open_source(found, sampling, decoding, locator).shards(frames_per_shard)
    except SourceError as error:
        transient = error.transient
        return [unreadable_shard(found.info, found.files[0], str(error), transient=transient)]


@dataclass(frozen=True, slots=True)
class PlannedFilm:
    """The shards of a film, and the presentation times of all its frames, float64 [N] in
    seconds."""

    shards: list[Shard]
    times_s: Float64 | None


def planned_film(
    found: FoundSource,
    sampling: Sampling,
    frames_per_shard: int,
    decoding: Decoding = PLAIN,
    locator: Locator = NOWHERE,
) -> PlannedFilm:
    """What a film would be planned as now. Raises SourceError where that can't be done."""
    film = open_source(found, sampling, decoding, locator)
    return PlannedFilm(film.shards(frames_per_shard), film.times_s)


def plan(
    job: Job,
    footage: Footage | None = None,
    known: KnownShards | None = None,
    locate: LocatorOf = lambda _: NOWHERE,
    shards_of: ShardsOf = shards_of,
) -> list[Shard]:
    """Every shard of the job's inputs, in the order of `SOURCES`. A source that can't be opened is
    a shard of one failed row."""
    footage = footage or discover(job.inputs, follow_links=job.follow_links)
    shards: list[Shard] = []
    decoding = Decoding(max_pixels=job.read.max_pixels)
    for found in footage.sources:
        stopping.check()
        old = known(found) if known else None
        locator = locate(found.info.source_id)
        shards += old or shards_of(
            found, job.sampling, job.store.frames_per_shard, locator, decoding
        )
    return shards


def open_shard(
    shard: Shard, sampling: Sampling, decoding: Decoding = PLAIN, locator: Locator = NOWHERE
) -> Iterator[Frame | FrameFailure]:
    """Decode a shard's frames in order, each with its time and place. What can't be read is a
    FrameFailure."""
    if shard.unreadable:
        yield FrameFailure(_unread(shard), shard.unreadable, shard.transient)
    else:
        yield from open_source(_found(shard), sampling, decoding, locator).frames(shard)


def refs_of(
    shard: Shard, sampling: Sampling, decoding: Decoding = PLAIN, locator: Locator = NOWHERE
) -> list[tuple[FrameRef, int]]:
    """What each wanted frame of a shard is, in the order in which `open_shard` gives them, and
    which of them are decoded together: frames of one number are."""
    if shard.unreadable:
        return [(_unread(shard), 0)]
    source = open_source(_found(shard), sampling, decoding, locator)
    return list(zip(source.refs(shard), source.groups(shard), strict=True))


def _found(shard: Shard) -> FoundSource:
    return FoundSource(shard.source, Path(shard.source.uri), shard.files)


def _unread(shard: Shard) -> FrameRef:
    """The key of the one row of a source that can't be read."""
    kind = shard.name.rpartition(f"{shard.source.source_id}-")[2]
    return FrameRef(f"{shard.source.source_id}:{kind}", shard.source.source_id, shard.source.uri)
