"""Damage that needs no knowledge of the format: cut off, flipped, overwritten, headless, empty."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from random import Random

from tests.torture.bases import IMAGES, VIDEOS, base
from tests.torture.recipes import Recipe, content

BASES = (*VIDEOS, *IMAGES)
FRACTIONS = (0.02, 0.1, 0.35, 0.6, 0.9, 0.99)
HEAD_BYTES = 512
"""Where the structure is, in most formats."""


def recipes() -> Iterator[Recipe]:
    for name in BASES:
        stem, _, suffix = name.rpartition(".")
        for fraction in FRACTIONS:
            yield content(
                "truncated", f"{stem}-{fraction:g}.{suffix}", partial(truncated, name, fraction)
            )
        for seed in (1, 2):
            yield content(
                "bit-flipped",
                f"{stem}-head-{seed}.{suffix}",
                partial(flipped, name, seed, 6, HEAD_BYTES),
            )
            yield content(
                "bit-flipped", f"{stem}-anywhere-{seed}.{suffix}", partial(flipped, name, seed, 20)
            )
        yield content("bit-flipped", f"{stem}-everywhere.{suffix}", partial(flipped, name, 3, 400))
        yield content(
            "bit-flipped", f"{stem}-tail.{suffix}", partial(flipped, name, 4, 30, -HEAD_BYTES)
        )
        for what, byte in (("zeros", 0), ("ones", 0xFF), ("noise", None)):
            yield content(
                "block overwritten", f"{stem}-{what}.{suffix}", partial(overwritten, name, byte)
            )
        for cut in (16, 1000):
            yield content("head cut off", f"{stem}-{cut}.{suffix}", partial(beheaded, name, cut))
    for suffix in ("mp4", "mkv", "avi", "ts", "jpg", "png", "webp", "tif", "bmp"):
        yield content("zero-length", f"empty.{suffix}", bytes)


def truncated(name: str, fraction: float) -> bytes:
    data = base(name)
    return data[: max(1, int(len(data) * fraction))]


def flipped(name: str, seed: int, bits: int, within: int = 0) -> bytes:
    """Some bits flipped: anywhere, or within the first bytes, or (negative) within the last."""
    data = bytearray(base(name))
    random = Random(f"{name} {seed} {bits}")
    first, last = (
        (max(0, len(data) + within), len(data))
        if within < 0
        else (0, min(within or len(data), len(data)))
    )
    for _ in range(bits):
        data[random.randrange(first, last)] ^= 1 << random.randrange(8)
    return bytes(data)


def overwritten(name: str, byte: int | None) -> bytes:
    """A tenth of the file, of at most a disk's 4 KiB block, put over with one byte or (None) with
    noise."""
    data = bytearray(base(name))
    random = Random(f"{name} {byte}")
    length = min(4096, max(16, len(data) // 10))
    at = random.randrange(len(data) // 8, len(data) - length)
    data[at : at + length] = random.randbytes(length) if byte is None else bytes([byte]) * length
    return bytes(data)


def beheaded(name: str, cut: int) -> bytes:
    return base(name)[cut:]
