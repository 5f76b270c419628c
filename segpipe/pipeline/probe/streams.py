"""Which sources are read of each found one, and what is said of a file's other video streams."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

from segpipe.core.config.job import Job
from segpipe.core.video_streams import NOT_READ, FileStreams, not_read_note
from segpipe.runtime.files.paths import AnyPath
from segpipe.sources import Footage
from segpipe.sources.table import file_source_of
from segpipe.store.file_streams import read_streams
from segpipe.telemetry.metadata import SourceMetadata


def with_parts(job: Job, footage: Footage, root: AnyPath | None) -> Footage:
    """The footage with the sources that the job wants of each file, such as its video streams.
    Files that the dataset at `root` knows aren't opened for it."""

    def known(source_id: str) -> FileStreams | None:
        return None if root is None else read_streams(root, source_id)

    parts = (file_source_of(f.info.kind).parts(f, job, known) for f in footage.sources)
    return replace(footage, sources=tuple(part for found in parts for part in found))


def with_unread_streams(facts: list[SourceMetadata]) -> list[SourceMetadata]:
    """The facts, in the same order, each with a note on the video streams of its file that no
    source of the dataset is."""
    by_file: dict[str, list[SourceMetadata]] = defaultdict(list)
    for f in facts:
        by_file[f.info.file_id].append(f)
    return [_noted(f, by_file[f.info.file_id]) for f in facts]


def _noted(facts: SourceMetadata, of_file: list[SourceMetadata]) -> SourceMetadata:
    notes = tuple(n for n in facts.notes if not n.startswith(NOT_READ))
    if facts.file is not None:
        file = facts.file
        read = {file.default.number if f.info.stream is None else f.info.stream for f in of_file}
        note = not_read_note(tuple(s for s in file.streams if s.number not in read))
        notes += (note,) if note else ()
    return facts if notes == facts.notes else replace(facts, notes=notes)
