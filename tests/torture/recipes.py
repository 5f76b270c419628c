"""What a mutation is before it lies on the disk: a kind, a file name, and how to write it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Write = Callable[[Path], Path | None]
"""Writes a mutation to a path. Returns the path to run over where that isn't the path itself."""


@dataclass(frozen=True)
class Recipe:
    """`label` names the mutation in plain ASCII, for the file names themselves are hostile too."""

    kind: str
    label: str
    file: str
    write: Write

    @property
    def name(self) -> str:
        return f"{slug(self.kind)}/{self.label}"


def slug(kind: str) -> str:
    """A kind as the name of its folder."""
    return re.sub(r"[^a-z0-9]+", "-", kind.lower()).strip("-")


def content(kind: str, file: str, make: Callable[[], bytes], label: str = "") -> Recipe:
    """A mutation that is a file with this content, made only when it is written."""

    def write(path: Path) -> None:
        path.write_bytes(make())

    return Recipe(kind, label or file, file, write)


def contents(kind: str, files: dict[str, Callable[[], bytes]]) -> Iterator[Recipe]:
    """Several of them, by file name."""
    for file, make in files.items():
        yield content(kind, file, make)


def patched(data: bytes, *patches: tuple[int, bytes]) -> bytes:
    """The data with bytes at some places put over."""
    result = bytearray(data)
    for at, new in patches:
        result[at : at + len(new)] = new
    return bytes(result)


def be32(value: int) -> bytes:
    """The lower 32 bits, big-endian: declared values needn't fit."""
    return (value & 0xFFFFFFFF).to_bytes(4, "big")


def be16(value: int) -> bytes:
    return (value & 0xFFFF).to_bytes(2, "big")


def le32(value: int) -> bytes:
    return (value & 0xFFFFFFFF).to_bytes(4, "little")


def le16(value: int) -> bytes:
    return (value & 0xFFFF).to_bytes(2, "little")
