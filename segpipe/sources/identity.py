"""Names made from what a thing is: source ids and frame ids, and the stamp that tells whether a file changed."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from segpipe.frames import FileStamp, SourceInfo, SourceKind
from segpipe.text import printable_text


def source_info(path: Path, kind: SourceKind) -> SourceInfo:
    """The identity of a video file or an image folder: a readable stem and a digest of the resolved path."""
    resolved = path.resolve()
    digest = hashlib.blake2b(resolved.as_posix().encode("utf-8", "surrogateescape"), digest_size=5).hexdigest()
    stem = resolved.stem if kind == "video" else resolved.name
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", stem).strip("-")[:40] or "source"
    return SourceInfo(f"{slug}-{digest}", kind, str(resolved))


def stamp(path: Path) -> FileStamp:
    """Size and modification time; both -1 where the file can't be reached (a broken link, say): reading it will tell."""
    try:
        status = path.stat()
    except OSError:
        return FileStamp(path.name, -1, -1)
    return FileStamp(path.name, status.st_size, status.st_mtime_ns)


def video_frame_id(source_id: str, frame_index: int) -> str:
    """Sorts in the order of time within a source."""
    return f"{source_id}:{frame_index:08d}"


def stream_frame_id(source_id: str, utc_us: int) -> str:
    """A stream's frame is known by its UTC time in microseconds since 1970, which no two of them share."""
    return f"{source_id}:{utc_us:016d}"


def image_frame_id(source_id: str, name: str) -> str:
    """An image is known by its file name in its folder: its place in a listing would change as the folder grows."""
    return f"{source_id}:{printable_text(name)}"


def files_digest(files: tuple[FileStamp, ...]) -> str:
    """A short digest of file names, which names an image shard."""
    text = "\0".join(f.name for f in files)
    return hashlib.blake2b(text.encode("utf-8", "surrogateescape"), digest_size=6).hexdigest()
