"""What the metadata of a source follows from: another key, other metadata."""

from __future__ import annotations

import hashlib
import json

from segpipe.core.config.job import Job
from segpipe.core.types import FileStamp
from segpipe.sources import FoundSource, source_of
from segpipe.sources.base import TrackFiles
from segpipe.sources.places import stamp

VERSION = 2
"""Another version of this code finds other facts: they are then found again."""


def facts_key(job: Job, found: FoundSource, files: TrackFiles) -> str:
    """A digest of all that the facts follow from; where it lies isn't among it."""
    tracks = [[kind, [_content(stamp(p)) for p in paths]] for kind, paths in files.items()]
    by_file = source_of(found.info.kind).files_are_frames
    content = [
        VERSION,
        [f.name for f in found.files] if by_file else found.info.source_id,
        tracks,
        job.time.model_dump_json(),
        job.track.model_dump_json(),
        job.ego_mask,
    ]
    return hashlib.blake2b(
        json.dumps(content).encode("utf-8", "surrogateescape"), digest_size=12
    ).hexdigest()


def _content(file: FileStamp) -> tuple[str, int, int]:
    return file.name, file.size_bytes, file.mtime_ns
