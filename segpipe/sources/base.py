"""What segpipe needs to know of a kind of source. A kind is a row of the table `SOURCES`; nothing
outside of its own folder asks for its name."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeGuard

from segpipe.core.config.job import Job, Sampling
from segpipe.core.config.time_and_place import TrackName
from segpipe.core.types import FileStamp, Frame, FrameFailure, FrameRef, Shard, SourceInfo
from segpipe.core.video_streams import FileStreams
from segpipe.sources.decoding import PLAIN, Decoding
from segpipe.sources.known_files import FoundFile, KnownFiles
from segpipe.telemetry.locate import NOWHERE, Locator
from segpipe.telemetry.metadata import SourceMetadata
from segpipe.telemetry.track import Float64

TrackFiles = dict[TrackName, list[Path]]
KnownStreams = Callable[[str], FileStreams | None]
"""What the dataset knows of the video streams of a source's file, by the source's id."""


@dataclass(frozen=True, slots=True)
class FoundSource:
    """A source that was found on the disk. `path` is its file or folder, `files` are those of its
    files that are wanted; those with the keys `replaced` were there before, and no longer count.
    What was given by hand for the source `kin_id` holds for this one too."""

    info: SourceInfo
    path: Path
    files: tuple[FileStamp, ...]
    kin_id: str = ""
    replaced: tuple[str, ...] = ()


class Source(Protocol):
    """What all kinds of source have. The rest of segpipe goes by these answers."""

    @property
    def kind(self) -> str:
        """Its name: the key in `SOURCES`, and the column `kind` of the dataset."""
        ...

    @property
    def replayable(self) -> bool:
        """Whether its frames can be read again. Those that can't are recorded while they come
        (`pipeline.live`): they have no plan, go stale never, and their rows are irreplaceable."""
        ...

    @property
    def in_sequence(self) -> bool:
        """Whether one frame follows on the other in time, as in a film."""
        ...

    @property
    def files_are_frames(self) -> bool:
        """Whether each file is one frame, known by its content, and new ones may come at any
        time. Otherwise the frames are known by index and time, and another content of the file is
        another film."""
        ...


class FileSource(Source, Protocol):
    """A kind of source that lies in files: found, planned, read, and read again."""

    @property
    def nouns(self) -> tuple[str, str]:
        """What one such source and several of them are called."""
        ...

    @property
    def suffixes(self) -> frozenset[str]:
        """The extensions of its files, in lower case."""
        ...

    def place(self, path: Path) -> Path:
        """The absolute path by which a file is known: of `path`, whose folder is resolved, and
        which is resolved itself if this kind follows links."""
        ...

    def discover(self, files: Sequence[FoundFile], known: KnownFiles) -> list[FoundSource]:
        """The sources that files with its extensions make, in order."""
        ...

    def parts(self, found: FoundSource, job: Job, known: KnownStreams) -> tuple[FoundSource, ...]:
        """The sources that the job wants of a found one: most often that one itself."""
        ...

    def probe(
        self,
        found: FoundSource,
        job: Job,
        tracks: TrackFiles,
        old: SourceMetadata | None,
        new_tracks: bool = True,
    ) -> SourceMetadata:
        """What is found out of a source before its frames are read: clocks, track, ego mask. `old`
        is what an earlier run found out. Without `new_tracks` no track is read, and the earlier
        run's stays. Raises SourceError where the source can't be opened."""
        ...

    def open(
        self,
        found: FoundSource,
        sampling: Sampling,
        decoding: Decoding = PLAIN,
        locator: Locator = NOWHERE,
    ) -> OpenedSource:
        """Open a source to plan or to read it. Raises SourceError where that can't be done."""
        ...


class OpenedSource(Protocol):
    """A source that is planned or read. It may travel to another process."""

    @property
    def times_s(self) -> Float64 | None:
        """Presentation times of all its frames, float64 [N] in seconds, by `frame_index`; None
        where files are frames."""
        ...

    def shards(self, frames_per_shard: int) -> list[Shard]:
        """Its wanted frames, cut into shards of about so many. Raises SourceError where the
        sampling can't be done."""
        ...

    def frames(self, shard: Shard) -> Iterator[Frame | FrameFailure]:
        """A shard's wanted frames in order, those that `decoding.skip` passes over left out. One
        that can't be read is a FrameFailure."""
        ...

    def refs(self, shard: Shard) -> list[FrameRef]:
        """What each wanted frame of a shard is, in the order of `frames`."""
        ...

    def groups(self, shard: Shard) -> list[int]:
        """For each of those a number that is the same for frames that are decoded together."""
        ...


def is_in_files(source: Source) -> TypeGuard[FileSource]:
    """Whether a source can be read again, and so is a `FileSource`."""
    return source.replayable
