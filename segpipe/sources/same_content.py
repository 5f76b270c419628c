"""Which of the known files of one fingerprint a file is: one of them, a copy, or another
recording."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

from segpipe.core.text import printable_text
from segpipe.core.types import FileStamp
from segpipe.sources.fingerprint import whole_digest
from segpipe.sources.known_files import FoundFile, KnownFile
from segpipe.sources.places import path_at, stamp
from segpipe.telemetry.file_names import time_in_name


def among_same(found: FoundFile, same: list[KnownFile]) -> FoundFile:
    """A file among those of its fingerprint: one of them, or, where all their bytes or the times in
    their names say otherwise, a file with a key of its own. Raises OSError."""
    told = time_in_name(found.path)
    elsewhere = _keys_elsewhere(found, told, same)
    own_digest, own_time = "", ""
    for one in sorted(same, key=lambda one: time_in_name(path_at(one.uri)) != told):
        if one.key in elsewhere:
            own_time = told
            continue
        mine, theirs = _digests(found, one)
        found = replace(found, digest=mine)
        if theirs == mine or not theirs:
            here = one.uri == printable_text(str(found.path))
            how = "touched" if here else "moved"
            return replace(found, key=one.key, how=how, source_id=one.source_id)
        own_digest = mine
    if not (own_digest or own_time):
        return found
    key = f"{found.key}x{_digits(own_digest, own_time)}"
    return replace(found, key=key, same_bytes=bool(own_time))


def _digits(own_digest: str, own_time: str) -> str:
    """Eight hex digits of what tells a file from others of its fingerprint: the digest of its
    bytes, the time in its name, or both."""
    if not own_time:
        return own_digest[:8]
    return hashlib.blake2b(f"{own_digest}{own_time}".encode(), digest_size=4).hexdigest()


def _keys_elsewhere(found: FoundFile, told: str, same: list[KnownFile]) -> set[str]:
    """The keys of files that are still there under names that tell other times than this one's.
    Nobody gives a copy another time: they are recordings of the same bytes."""
    names = {one.uri: time_in_name(path_at(one.uri)) for one in same if told}
    there = {
        one.key
        for one in same
        if names.get(one.uri, told) not in ("", told) and _is_there(one, found.path)
    }
    return there - {one.key for one in same if names.get(one.uri) == told}


def _is_there(known: KnownFile, but_at: Path) -> bool:
    """Whether a known file is still where it was, at another place than `but_at`."""
    path = path_at(known.uri)
    return path != but_at and is_as_it_was(stamp(path), known)


def _digests(found: FoundFile, one: KnownFile) -> tuple[str, str]:
    """The digests of all bytes of two files of one fingerprint, where they are needed and can be
    had; of the second none where its time is the first one's. Raises OSError."""
    mine, theirs = found.digest, one.digest
    if not theirs and (mine or one.mtime_ns != found.mtime_ns):
        theirs = _digest_there(one)
    if theirs and not mine:
        mine = whole_digest(found.path)
    return mine, theirs


def _digest_there(known: KnownFile) -> str:
    """The digest of a known file that is still where it was; empty where it isn't."""
    path = path_at(known.uri)
    if not is_as_it_was(stamp(path), known):
        return ""
    try:
        return whole_digest(path)
    except OSError:
        return ""


def is_as_it_was(now: FileStamp | FoundFile, before: KnownFile) -> bool:
    """Whether a file has the size and the time that it had."""
    return (now.size_bytes, now.mtime_ns) == (before.size_bytes, before.mtime_ns)
