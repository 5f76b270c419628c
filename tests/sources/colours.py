"""A kind of source that nobody needs: text files with a colour on each line, which is a frame. It
shows what a new kind takes; docs/extending.md is written after it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segpipe.core.config.job import Job, Sampling
from segpipe.core.errors import SourceError
from segpipe.core.types import FileStamp, Frame, FrameFailure, FrameRef, Shard, SourceInfo
from segpipe.sources.base import FoundSource, KnownStreams, TrackFiles
from segpipe.sources.decoding import PLAIN, Decoding
from segpipe.sources.ids import indexed_frame_id, source_info
from segpipe.sources.known_files import FoundFile, KnownFiles
from segpipe.sources.places import resolved
from segpipe.telemetry.locate import NOWHERE, Locator
from segpipe.telemetry.metadata import SourceMetadata
from segpipe.telemetry.track import Float64

SIZE = (16, 24)
_COLOUR = re.compile(r"#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})")


class ColourLists:
    """A source for each text file, with a frame a second."""

    kind = "colours"
    nouns = ("list of colours", "lists of colours")
    suffixes = frozenset({".colours"})
    replayable = True
    in_sequence = True
    files_are_frames = False

    def place(self, path: Path) -> Path:
        return resolved(path)

    def discover(self, files: Sequence[FoundFile], known: KnownFiles) -> list[FoundSource]:
        return [self._source(file) for file in files]

    def _source(self, file: FoundFile) -> FoundSource:
        info = source_info(file.key, self.kind, file.path)
        before = (file.replaces.key,) if file.replaces is not None else ()
        return FoundSource(info, file.path, (file.stamp,), replaced=before)

    def parts(self, found: FoundSource, job: Job, known: KnownStreams) -> tuple[FoundSource, ...]:
        return (found,)

    def probe(
        self,
        found: FoundSource,
        job: Job,
        tracks: TrackFiles,
        old: SourceMetadata | None,
        new_tracks: bool = True,
    ) -> SourceMetadata:
        count = len(read_lines(found.path))
        return SourceMetadata(found.info, media_start_s=0.0, duration_s=float(count))

    def open(
        self,
        found: FoundSource,
        sampling: Sampling,
        decoding: Decoding = PLAIN,
        locator: Locator = NOWHERE,
    ) -> ColourList:
        lines = read_lines(found.path)
        return ColourList(found.info, found.files[0], lines, decoding.skip, locator)


@dataclass(frozen=True)
class ColourList:
    """One text file, opened. Every line is wanted, whatever the sampling."""

    info: SourceInfo
    stamp: FileStamp
    lines: tuple[str, ...]
    skip: int
    locator: Locator

    @property
    def times_s(self) -> Float64:
        return np.arange(len(self.lines), dtype=np.float64)

    def shards(self, frames_per_shard: int) -> list[Shard]:
        starts = range(0, len(self.lines), frames_per_shard)
        return [
            self._shard(start, min(start + frames_per_shard, len(self.lines)), len(starts))
            for start in starts
        ]

    def _shard(self, start: int, stop: int, siblings: int) -> Shard:
        return Shard(
            f"{self.info.source_id}-{start:08d}-{stop:08d}",
            self.info,
            stop - start,
            (self.stamp,),
            start,
            stop,
            siblings=siblings,
            expected=len(self.lines),
        )

    def frames(self, shard: Shard) -> Iterator[Frame | FrameFailure]:
        for ref in self.refs(shard)[self.skip :]:
            line = self.lines[ref.frame_index or 0]
            colour = _COLOUR.fullmatch(line)
            if colour is None:
                yield FrameFailure(ref, f"{line!r} is no colour; write it as #rrggbb")
            else:
                rgb = [int(part, 16) for part in colour.groups()]
                yield Frame(ref, np.full((*SIZE, 3), rgb, np.uint8))

    def refs(self, shard: Shard) -> list[FrameRef]:
        indices = range(shard.start, min(shard.stop, len(self.lines)))
        places = self.locator.of_video(self.times_s[indices.start : indices.stop])
        source_id, uri = self.info.source_id, self.info.uri
        return [
            FrameRef(
                indexed_frame_id(source_id, i),
                source_id,
                uri,
                frame_index=i,
                pts_s=float(i),
                timestamp_us=place.time_us,
                timestamp_source=place.time_source,
                position=place.position,
            )
            for i, place in zip(indices, places, strict=True)
        ]

    def groups(self, shard: Shard) -> list[int]:
        return list(range(shard.start, min(shard.stop, len(self.lines))))


def read_lines(path: Path) -> tuple[str, ...]:
    """The lines of a file. Raises SourceError where it isn't text, or empty."""
    try:
        lines = tuple(path.read_text(encoding="utf-8").split())
    except (OSError, UnicodeDecodeError) as error:
        raise SourceError(f"can't be read as a list of colours ({error})") from None
    if not lines:
        raise SourceError("holds no colours")
    return lines
