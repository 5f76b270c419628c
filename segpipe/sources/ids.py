"""The ids of sources and frames: made from their content, so that they are the same everywhere."""

from __future__ import annotations

import hashlib
from pathlib import Path

from segpipe.core.types import FileStamp, SourceInfo


def source_info(source_id: str, kind: str, path: Path, stream: int | None = None) -> SourceInfo:
    """A source at a path. `stream` is the number of a video stream that isn't the file's default
    one: it stands in the id, before the key, which all streams of a file share."""
    which = "" if stream is None else f"v{stream}-"
    return SourceInfo(f"{which}{source_id}", kind, str(path), stream)


def indexed_frame_id(source_id: str, frame_index: int) -> str:
    """Sorts in the order of time within a source."""
    return f"{source_id}:{frame_index:08d}"


def stream_frame_id(source_id: str, utc_us: int) -> str:
    """A stream's frame is known by its UTC time in microseconds since 1970, which no two of them
    share."""
    return f"{source_id}:{utc_us:016d}"


def image_frame_id(source_id: str, key: str) -> str:
    """An image is known by its content's key: its name and its place in a listing may change."""
    return f"{source_id}:{key}"


def files_digest(files: tuple[FileStamp, ...]) -> str:
    """A short digest of file names, which names an image shard."""
    text = "\0".join(f.name for f in files)
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
