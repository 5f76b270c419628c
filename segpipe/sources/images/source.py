"""Folders of images as a kind of source."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from segpipe.core.config.job import Job, Sampling
from segpipe.sources.base import FoundSource, KnownStreams, TrackFiles
from segpipe.sources.decoding import PLAIN, Decoding
from segpipe.sources.fingerprint import goes_by_path
from segpipe.sources.ids import source_info
from segpipe.sources.images.folder import ImageFolder
from segpipe.sources.images.names import IMAGE_SUFFIXES
from segpipe.sources.known_files import FoundFile, KnownFiles
from segpipe.telemetry.locate import NOWHERE, Locator
from segpipe.telemetry.metadata import SourceMetadata


class ImageFolders:
    """A source for each folder that images lie in."""

    kind = "images"
    nouns = ("folder of images", "folders of images")
    suffixes = IMAGE_SUFFIXES
    replayable = True
    in_sequence = False
    files_are_frames = True

    def place(self, path: Path) -> Path:
        """As it is: a linked image keeps the name and the place that the user gave it."""
        return path

    def discover(self, files: Sequence[FoundFile], known: KnownFiles) -> list[FoundSource]:
        """An image that is known belongs to its source, wherever it lies; a new one to the source
        of its folder. A folder that has none is a new source, called after its first image."""
        images: dict[str, list[FoundFile]] = defaultdict(list)
        new: dict[Path, list[FoundFile]] = defaultdict(list)
        for file in files:
            source_id = file.source_id or (file.replaces.source_id if file.replaces else "")
            if source_id:
                images[source_id].append(file)
            else:
                new[file.path.parent].append(file)
        homes = {source_id: _home(found) for source_id, found in images.items()}
        for folder, found in sorted(new.items()):
            here = [source_id for source_id, home in homes.items() if home == folder]
            images[known.in_folder(str(folder)) or (*here, _new_id(found))[0]] += found
        return [_found_source(source_id, found) for source_id, found in images.items()]

    def parts(self, found: FoundSource, job: Job, known: KnownStreams) -> tuple[FoundSource, ...]:
        """The folder as a whole."""
        return (found,)

    def probe(
        self,
        found: FoundSource,
        job: Job,
        tracks: TrackFiles,
        old: SourceMetadata | None,
        new_tracks: bool = True,
    ) -> SourceMetadata:
        """Clocks and positions of the images, track and ego mask of all of them together."""
        # Here, for what only reads frames needs no parser of tracks.
        from segpipe.sources.images.probe import probe_folder

        if new_tracks:
            return probe_folder(found, job, tracks, old)
        metadata = probe_folder(found, job, {}, old)
        if old is None:
            return metadata
        return replace(metadata, track=old.track, refused=old.refused)

    def open(
        self,
        found: FoundSource,
        sampling: Sampling,
        decoding: Decoding = PLAIN,
        locator: Locator = NOWHERE,
    ) -> ImageFolder:
        """Every image that was asked for is wanted, whatever the sampling."""
        return ImageFolder(found.info, found.files, locator, decoding)


def _found_source(source_id: str, images: list[FoundFile]) -> FoundSource:
    folder = _home(images)
    images = sorted(images, key=lambda f: f.path)
    gone = tuple(f.replaces.key for f in images if f.replaces is not None)
    stamps = tuple(f.stamp for f in images)
    return FoundSource(source_info(source_id, "images", folder), folder, stamps, replaced=gone)


def _home(images: list[FoundFile]) -> Path:
    """The folder that most of the images lie in."""
    counts = Counter(f.path.parent for f in images)
    return min(counts, key=lambda folder: (-counts[folder], folder))


def _new_id(images: list[FoundFile]) -> str:
    """The id of a new source: after the first image that has a content."""
    return f"images-{min(images, key=lambda f: (goes_by_path(f.key), f.path)).key}"
