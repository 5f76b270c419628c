"""Video files as a kind of source."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from segpipe.core.config.job import Job, Sampling
from segpipe.sources.base import FoundSource, KnownStreams, TrackFiles
from segpipe.sources.decoding import PLAIN, Decoding
from segpipe.sources.known_files import FoundFile, KnownFiles
from segpipe.sources.not_read import COPIES
from segpipe.sources.places import resolved
from segpipe.sources.video.file import VideoFile
from segpipe.sources.video.names import VIDEO_SUFFIXES, found_source, video_part
from segpipe.sources.video.streams import wanted_streams
from segpipe.telemetry.locate import NOWHERE, Locator
from segpipe.telemetry.metadata import SourceMetadata


class Videos:
    """A source for each file, and where they are wanted for each of its video streams."""

    kind = "video"
    nouns = ("video", "videos")
    suffixes = VIDEO_SUFFIXES | COPIES
    replayable = True
    in_sequence = True
    files_are_frames = False

    def place(self, path: Path) -> Path:
        """A link and what it leads to are one."""
        return resolved(path) if path.is_symlink() else path

    def discover(self, files: Sequence[FoundFile], known: KnownFiles) -> list[FoundSource]:
        """A source for each file."""
        return [found_source(file) for file in sorted(files, key=lambda f: f.path)]

    def parts(self, found: FoundSource, job: Job, known: KnownStreams) -> tuple[FoundSource, ...]:
        """The video streams that `sampling.stream` wants."""
        numbers = wanted_streams(found, job, known)
        return tuple(video_part(found, number) for number in numbers)

    def probe(
        self,
        found: FoundSource,
        job: Job,
        tracks: TrackFiles,
        old: SourceMetadata | None,
        new_tracks: bool = True,
    ) -> SourceMetadata:
        """Clocks, track and ego mask of one video stream."""
        # Here, for what only reads frames needs no parser of tracks.
        from segpipe.sources.video.probe import probe_video

        files = tracks if new_tracks else {}
        return probe_video(found, job, files, old, new_tracks)

    def open(
        self,
        found: FoundSource,
        sampling: Sampling,
        decoding: Decoding = PLAIN,
        locator: Locator = NOWHERE,
    ) -> VideoFile:
        """Read the packet index."""
        return VideoFile.of(found, sampling, decoding, locator)
