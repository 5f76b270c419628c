"""The kinds of source, a row for each."""

from __future__ import annotations

from segpipe.core.errors import DatasetError
from segpipe.sources.base import FileSource, Source, is_in_files
from segpipe.sources.images.source import ImageFolders
from segpipe.sources.stream.source import LiveStreams
from segpipe.sources.video.source import Videos

SOURCES: dict[str, Source] = {
    "video": Videos(),
    "images": ImageFolders(),
    "stream": LiveStreams(),
}
"""The kinds by name. Those of files are planned in this order."""


def source_of(kind: str) -> Source:
    """The row of a kind. Raises DatasetError for a kind that isn't known here."""
    if kind not in SOURCES:
        raise DatasetError(
            f"sources of the kind {kind!r} aren't known to this segpipe; known are "
            f"{', '.join(SOURCES)}: use the segpipe that wrote the dataset"
        )
    return SOURCES[kind]


def file_source_of(kind: str) -> FileSource:
    """The row of a kind whose sources lie in files. Raises DatasetError for any other kind."""
    source = source_of(kind)
    if not is_in_files(source):
        raise DatasetError(f"sources of the kind {kind!r} can't be read again")
    return source


def file_sources() -> list[FileSource]:
    """The rows of all kinds whose sources lie in files."""
    return [source for source in SOURCES.values() if is_in_files(source)]
