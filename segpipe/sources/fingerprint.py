"""The fingerprint of a file: a digest of its size and of blocks spread over it. What differs in
size or in one of the blocks is another file; what differs only between the blocks isn't told apart
by it (`whole_digest` does)."""

from __future__ import annotations

import hashlib
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO

BLOCKS = 8
BLOCK_BYTES = 64 * 1024
"""A file of up to 8 blocks of 64 KiB is read whole."""
_DIGEST_BYTES = 10
_BY_PATH = "path-"
_KEY = re.compile(r"[0-9a-f]{20}(x[0-9a-f]{8})?")
"""A fingerprint; of one that several files share, with some digits of all their bytes."""


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """`key` is the digest of the size and of all blocks, `body` that of the blocks without the
    first one, where containers note their length once they are whole. Both are 20 hex digits."""

    key: str
    body: str


def fingerprint(path: Path, size_bytes: int) -> Fingerprint:
    """The fingerprint of a file's first `size_bytes` (BLAKE2b, RFC 7693). Raises OSError where it
    can't be read, also where it is shorter."""
    key = hashlib.blake2b(size_bytes.to_bytes(8, "big"), digest_size=_DIGEST_BYTES)
    body = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    with path.open("rb", buffering=0) as file:
        for number, (start, length) in enumerate(_blocks(size_bytes)):
            block = _read(file, start, length)
            key.update(block)
            if number:
                body.update(block)
    return Fingerprint(key.hexdigest(), body.hexdigest())


def whole_digest(path: Path) -> str:
    """The digest of all bytes of a file, 40 hex digits. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=20)).hexdigest()


def path_key(path: Path) -> str:
    """The key of a file without content of its own: one that is empty, or can't be read. It goes by
    its path."""
    return f"{_BY_PATH}{_of_path(path)}"


def gone_key(path: Path) -> str:
    """The key of a file that a dataset of an earlier version knew by its path, and that isn't there
    any more."""
    return f"gone-{_of_path(path)}"


def goes_by_path(key: str) -> bool:
    """Whether a key is that of a path."""
    return key.startswith(_BY_PATH)


def is_key(text: str) -> bool:
    """Whether a text is the key of a content, and not one that a path gave."""
    return _KEY.fullmatch(text) is not None


def _of_path(path: Path) -> str:
    text = path.as_posix().encode("utf-8", "surrogateescape")
    return hashlib.blake2b(text, digest_size=_DIGEST_BYTES).hexdigest()


def _blocks(size_bytes: int) -> list[tuple[int, int]]:
    """Where each block starts, and its length."""
    if size_bytes <= BLOCKS * BLOCK_BYTES:
        edges = [size_bytes * i // BLOCKS for i in range(BLOCKS + 1)]
        return [(a, b - a) for a, b in itertools.pairwise(edges)]
    last = size_bytes - BLOCK_BYTES
    return [(last * i // (BLOCKS - 1), BLOCK_BYTES) for i in range(BLOCKS)]


def _read(file: IO[bytes], start: int, length: int) -> bytes:
    file.seek(start)
    parts = []
    while length:
        part = file.read(length)
        if not part:
            raise OSError("the file has become shorter while it was read")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
