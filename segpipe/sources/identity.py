"""What a file is: known, moved, grown, another recording, or new. Path, size and time are a cache,
so that a known file isn't read; what decides is the content."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from segpipe.core.text import printable_text
from segpipe.core.types import FileStamp
from segpipe.sources.fingerprint import fingerprint, goes_by_path, path_key, whole_digest
from segpipe.sources.known_files import NOTHING_KNOWN, FoundFile, KnownFile, KnownFiles
from segpipe.sources.places import path_at, stamp
from segpipe.sources.same_content import among_same, is_as_it_was


def identify(path: Path, known: KnownFiles = NOTHING_KNOWN, full: bool = False) -> FoundFile:
    """What lies at a path, by the rule of the data contract. With `full`, files of one fingerprint
    are compared by a digest of all their bytes. A file that can't be read is what it was before, or
    goes by its path."""
    now, before = stamp(path), known.at(printable_text(str(path)))
    same_stamp = before is not None and is_as_it_was(now, before)
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
        found = among_same(found, known.with_key(print_.key))
    except OSError:
        if before is not None:
            return _found(path, now, before, "known" if same_stamp else "away")
        return FoundFile(path, path_key(path), now.size_bytes, now.mtime_ns)
    return found if before is None or before.key == found.key else _at_known_path(found, before)


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


def _at_known_path(found: FoundFile, before: KnownFile) -> FoundFile:
    """A file of another content than what lay at its path before. Rows of what nothing could be
    read of, of the same file while it went by its path, or of its own beginning, have to go, also
    where its content is known from elsewhere."""
    if before.hopeless or (goes_by_path(before.key) and is_as_it_was(found, before)):
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
