"""What the header of a safetensors file claims, checked before anything is allocated; and a digest
that the job pins."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from segpipe.core.errors import ModelError
from segpipe.inference.models.closed import check_file

MAX_HEADER_BYTES = 10 << 20
MAX_BYTES = 8 << 30
MAX_TENSORS = 100_000
_BYTES = {
    "BOOL": 1,
    "U8": 1,
    "I8": 1,
    "F8_E4M3": 1,
    "F8_E5M2": 1,
    "I16": 2,
    "U16": 2,
    "F16": 2,
    "BF16": 2,
    "I32": 4,
    "U32": 4,
    "F32": 4,
    "I64": 8,
    "U64": 8,
    "F64": 8,
}
"""Bytes of one element by the format's names of types."""


def check_weights(files: Sequence[Path], source: str) -> int:
    """The number of elements of all tensors in safetensors files, by their headers. Raises
    ModelError for a header that is too large or claims more than its file holds."""
    if (total := sum(file.stat().st_size for file in files)) > MAX_BYTES:
        raise ModelError(
            f"{source}: its weights have {total} bytes; at most {MAX_BYTES} are loaded"
        )
    return sum(_elements(file, source) for file in files)


def _elements(path: Path, source: str) -> int:
    check_file(path, source)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > min(MAX_HEADER_BYTES, size - 8):
            raise ModelError(
                f"{source}: {path} isn't a whole safetensors file: its header claims {length} of "
                f"{size} bytes (at most {MAX_HEADER_BYTES}); get the file again"
            )
        text = file.read(length)
    try:
        header = json.loads(text)
        tensors = [v for k, v in header.items() if k != "__metadata__"]
        if len(tensors) > MAX_TENSORS:
            raise ValueError(f"{len(tensors)} tensors; at most {MAX_TENSORS}")
        return sum(_elements_of(t, size - 8 - length) for t in tensors)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError(
            f"{source}: the header and the bytes of {path} don't fit "
            f"({' '.join(str(error).split())[:160]}); get the file again"
        ) from None


def _elements_of(tensor: dict[str, Any], room: int) -> int:
    shape: list[int] = tensor["shape"]
    start, stop = tensor["data_offsets"]
    if any(type(n) is not int or n < 0 for n in (*shape, start, stop)):
        raise ValueError(f"a tensor of shape {shape} at {start} to {stop}")
    elements = math.prod(shape)
    if stop > room:
        raise ValueError(f"a tensor ends at byte {stop}, and there are {room}")
    if elements * _BYTES[tensor["dtype"]] != stop - start:
        raise ValueError(f"a tensor of shape {shape} with {stop - start} bytes")
    return elements


def check_sha256(files: Sequence[Path], wanted: str | None, source: str) -> None:
    """Raises ModelError where the SHA-256 over the bytes of the weight files, in order of name,
    isn't the one that the job pins. Nothing is loaded."""
    if wanted is None:
        return
    if not files:
        raise ModelError(
            f"{source}: has no file of weights, so model.sha256 can't hold; leave it out"
        )
    found = sha256_of(files)
    if found != wanted.lower():
        raise ModelError(
            f"{source}: its weights have the SHA-256 {found}, but model.sha256 is "
            f"{wanted.lower()}; they aren't the weights that the job was written for: get those, "
            "or correct model.sha256"
        )


def sha256_of(files: Sequence[Path]) -> str:
    """SHA-256 over the bytes of files, one after the other, in hexadecimal digits."""
    digest = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()
