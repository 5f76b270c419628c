"""Pictures written by hand, row by row: sizes that no encoder should be asked for."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

SIGNATURE = b"\x89PNG\r\n\x1a\n"
GREY, RGB, RGBA = 0, 2, 6
_CHANNELS = {GREY: 1, RGB: 3, RGBA: 4}


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk with its right CRC: a wrong one would only be refused early."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def header(width: int, height: int, bits: int = 8, colour: int = GREY) -> bytes:
    return chunk(
        b"IHDR",
        struct.pack(">IIBBBBB", width & 0xFFFFFFFF, height & 0xFFFFFFFF, bits, colour, 0, 0, 0),
    )


def deflated(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Deflate of parts that together needn't fit into memory."""
    packer = zlib.compressobj(9)
    for part in parts:
        yield packer.compress(part)
    yield packer.flush()


def blank_png(
    width: int, height: int, bits: int = 8, colour: int = GREY, extra: bytes = b""
) -> bytes:
    """A whole black PNG: 20,000 rows of it are some kilobytes."""
    row = bytes(1 + -(-width * bits * _CHANNELS[colour] // 8))
    data = b"".join(deflated(row for _ in range(height)))
    return (
        SIGNATURE
        + header(width, height, bits, colour)
        + extra
        + chunk(b"IDAT", data)
        + chunk(b"IEND", b"")
    )


def with_size(data: bytes, width: int, height: int) -> bytes:
    """A PNG that declares another size than it has."""
    return SIGNATURE + header(width, height, 8, RGB) + data[len(SIGNATURE) + 25 :]


def text_bomb(kind: bytes, megabytes: int) -> bytes:
    """Compressed text that unpacks to very much."""
    packed = b"".join(deflated(bytes(1_000_000) for _ in range(megabytes)))
    prefix = b"bomb\0\0" if kind == b"zTXt" else b"bomb\0\1\0\0\0"
    return chunk(kind, prefix + packed)


def tiff(
    width: int,
    height: int,
    data: bytes,
    bits: int = 8,
    samples: int = 3,
    compression: int = 1,
    rows_per_strip: int | None = None,
    next_ifd: int = 0,
    strips: int = 1,
) -> bytes:
    """A little-endian TIFF of strips that all point at the same data."""
    base = 8 + 2 + 9 * 12 + 4
    bits_at, offsets_at, counts_at = base, base + 2 * samples, base + 2 * samples + 4 * strips
    data_at = counts_at + 4 * strips
    entries = [
        (256, 4, 1, width),
        (257, 4, 1, height),
        (258, 3, samples, bits_at if samples > 2 else bits),
        (259, 3, 1, compression),
        (262, 3, 1, 2 if samples == 3 else 1),
        (273, 4, strips, offsets_at if strips > 1 else data_at),
        (277, 3, 1, samples),
        (278, 4, 1, rows_per_strip or height),
        (279, 4, strips, counts_at if strips > 1 else len(data)),
    ]
    ifd = struct.pack("<H", len(entries)) + b"".join(
        struct.pack("<HHII", *(v & 0xFFFFFFFF for v in e)) for e in entries
    )
    tables = struct.pack(f"<{samples}H", *[bits] * samples) + struct.pack(
        f"<{strips}I", *[data_at] * strips
    )
    tables += struct.pack(f"<{strips}I", *[len(data)] * strips)
    return b"II*\0" + struct.pack("<I", 8) + ifd + struct.pack("<I", next_ifd) + tables + data


def blank_tiff(width: int, height: int, bits: int = 8, samples: int = 3) -> bytes:
    """A black TIFF of deflated strips of 100 rows, all of which are the same bytes of the file."""
    strip = b"".join(deflated(bytes(width * samples * bits // 8) for _ in range(100)))
    return tiff(width, height, strip, bits, samples, 8, rows_per_strip=100, strips=height // 100)
