"""What a file is: known, moved, grown, another recording, or new. Path, size and time are a cache,
so that a known file isn't read; what decides is the content."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from segpipe.core.text import printable_text
from segpipe.core.types import FileStamp, SourceInfo
from segpipe.sources.fingerprint import fingerprint, goes_by_path, path_key, whole_digest
from segpipe.sources.known_files import NOTHING_KNOWN, FoundFile, KnownFile, KnownFiles
from segpipe.sources.places import path_at


def identify(path: Path, known: KnownFiles = NOTHING_KNOWN, full: bool = False) -> FoundFile:
    """What lies at a path, by the rule of the data contract. With `full`, files of one fingerprint
    are compared by a digest of all their bytes. A file that can't be read is what it was before, or
    goes by its path."""
    now, before = stamp(path), known.at(printable_text(str(path)))
    same_stamp = before is not None and _is_as_it_was(now, before)
    if before is not None and same_stamp and not _is_worth_a_try(now, before):
        return _found(path, now, before, "known")
    try:
        if now.size_bytes <= 0:
            raise OSError("no content")
        print_ = fingerprint(path, now.size_bytes)
        digest = whole_digest(path) if full else ""
        found = FoundFile(
            path, print_.key, now.size_bytes, now.mtime_ns, body=print_.body, digest=digest
        )
        found = _among_same(found, known.with_key(print_.key))
    except OSError:
        if before is not None:
            return _found(path, now, before, "known" if same_stamp else "away")
        return FoundFile(path, path_key(path), now.size_bytes, now.mtime_ns)
    return found if before is None or before.key == found.key else _at_known_path(found, before)


def _is_as_it_was(now: FileStamp | FoundFile, before: KnownFile) -> bool:
    return (now.size_bytes, now.mtime_ns) == (before.size_bytes, before.mtime_ns)


def _is_worth_a_try(now: FileStamp, before: KnownFile) -> bool:
    """Whether a file that couldn't be read, so that it goes by its path, may have a content now."""
    return goes_by_path(before.key) and now.size_bytes > 0


def _found(path: Path, now: FileStamp, before: KnownFile, how: str) -> FoundFile:
    return FoundFile(
        path,
        before.key,
        now.size_bytes,
        now.mtime_ns,
        how,
        before.source_id,
        before.body,
        before.digest,
    )


def _among_same(found: FoundFile, same: list[KnownFile]) -> FoundFile:
    """A file among those of its fingerprint: one of them, or, where all their bytes say otherwise,
    a file with a key of its own. Raises OSError."""
    others = 0
    for one in same:
        mine = found.digest
        theirs = one.digest
        if not theirs and (mine or one.mtime_ns != found.mtime_ns):
            theirs = _digest_there(one)
        if theirs and not mine:
            mine = whole_digest(found.path)
        if theirs == mine or not theirs:
            here = one.uri == printable_text(str(found.path))
            how = "touched" if here else "moved"
            return replace(found, key=one.key, how=how, source_id=one.source_id, digest=mine)
        found = replace(found, digest=mine)
        others += 1
    return replace(found, key=f"{found.key}x{found.digest[:8]}") if others else found


def _digest_there(known: KnownFile) -> str:
    """The digest of a known file that is still where it was; empty where it isn't."""
    path = path_at(known.uri)
    if not _is_as_it_was(stamp(path), known):
        return ""
    try:
        return whole_digest(path)
    except OSError:
        return ""


def _at_known_path(found: FoundFile, before: KnownFile) -> FoundFile:
    """A file of another content than what lay at its path before. Rows of what nothing could be
    read of, of the same file while it went by its path, or of its own beginning, have to go, also
    where its content is known from elsewhere."""
    if before.hopeless or (goes_by_path(before.key) and _is_as_it_was(found, before)):
        how, gone = "replaced", before
    elif _begins_with(found, before):
        how, gone = "grown", before
    else:
        how, gone = "another", None
    return replace(found, how=found.how if found.source_id else how, replaces=gone)


def _begins_with(found: FoundFile, before: KnownFile) -> bool:
    """Whether a file begins with what was known, but for the block where containers note their
    length."""
    if not (0 < before.size_bytes < found.size_bytes and before.body):
        return False
    try:
        return fingerprint(found.path, before.size_bytes).body == before.body
    except OSError:
        return False


def what_changed(then: FileStamp, key: str) -> str:
    """What has become of a file since it was planned, as the end of a sentence; empty where its
    content is the same."""
    path = path_at(then.uri)
    now = stamp(path)
    if now.size_bytes < 0:
        return "is missing"
    if (now.size_bytes, now.mtime_ns) == (then.size_bytes, then.mtime_ns):
        return ""
    try:
        same = fingerprint(path, now.size_bytes).key == key.partition("x")[0]
    except OSError:
        return "can't be read"
    return "" if same else "holds another recording now"


def source_info(source_id: str, kind: str, path: Path, stream: int | None = None) -> SourceInfo:
    """A source at a path. `stream` is the number of a video stream that isn't the file's default
    one: it stands in the id, before the key, which all streams of a file share."""
    which = "" if stream is None else f"v{stream}-"
    return SourceInfo(f"{which}{source_id}", kind, str(path), stream)


def stamp(path: Path) -> FileStamp:
    """Size and modification time; both -1 where the file can't be reached (a broken link, say):
    reading it will tell."""
    try:
        status = path.stat()
    except OSError:
        return FileStamp(path.name, -1, -1, str(path))
    return FileStamp(path.name, status.st_size, status.st_mtime_ns, str(path))


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
