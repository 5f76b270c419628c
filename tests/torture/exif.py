"""EXIF that leads astray: offsets in circles and beyond the file, counts without end, values that
mean nothing."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.torture.bases import image
from tests.torture.recipes import Recipe, content

ASCII, SHORT, LONG, RATIONAL = 2, 3, 4, 5
ORIENTATION, DATE, EXIF_IFD, GPS_IFD, MAKER = 0x0112, 0x9003, 0x8769, 0x8825, 0x927C
Entry = tuple[int, int, int, int]
"""Tag, type, count, and the value or its offset."""


def ifd(entries: list[Entry], following: int = 0) -> bytes:
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<H", len(entries)) + packed + struct.pack("<I", following)


def jpeg_with(tiff: bytes) -> bytes:
    """A JPEG with this TIFF structure as its EXIF."""
    segment = b"Exif\0\0" + tiff
    return (
        image("photo.jpg")[:2]
        + b"\xff\xe1"
        + struct.pack(">H", len(segment) + 2)
        + segment
        + image("photo.jpg")[2:]
    )


def exif(entries: list[Entry], following: int = 0, tail: bytes = b"") -> bytes:
    return b"II*\0" + struct.pack("<I", 8) + ifd(entries, following) + tail


def _gps(latitude: bytes) -> bytes:
    """A position whose three rationals are these bytes; the GPS directory begins after the first
    one, at 26."""
    entries = [
        (1, ASCII, 2, ord("N")),
        (2, RATIONAL, 3, 80),
        (3, ASCII, 2, ord("E")),
        (4, RATIONAL, 3, 80),
    ]
    return exif([(GPS_IFD, LONG, 1, 26)], 0, ifd(entries) + latitude)


_TIFFS: dict[str, bytes] = {
    "circle": exif([(ORIENTATION, SHORT, 1, 6)], following=8),
    "own-directory": exif([(EXIF_IFD, LONG, 1, 8), (GPS_IFD, LONG, 1, 8)]),
    "beyond": exif(
        [
            (DATE, ASCII, 20, 0x7FFFFFF0),
            (EXIF_IFD, LONG, 1, 0x7FFFFFF0),
            (GPS_IFD, LONG, 1, 0xFFFFFFFF),
        ]
    ),
    "first-directory-beyond": b"II*\0" + struct.pack("<I", 0xFFFFFFF0),
    "orientation-99": exif([(ORIENTATION, SHORT, 1, 99)]),
    "orientation-is-text": exif([(ORIENTATION, ASCII, 4, 0x00363636)]),
    "orientation-of-none": exif([(ORIENTATION, SHORT, 0, 6)]),
    "orientation-of-many": exif([(ORIENTATION, SHORT, 20000, 8)]),
    "huge-count": exif([(DATE, ASCII, 0xFFFFFFFF, 8), (MAKER, 7, 0x7FFFFFFF, 8)]),
    "many-entries": b"II*\0" + struct.pack("<IH", 8, 0xFFFF) + b"\xff" * 3000,
    "unknown-types": exif([(ORIENTATION, 77, 1, 6), (DATE, 0, 5, 5), (GPS_IFD, 13, 3, 3)]),
    "words": b"these are words and no directory at all",
    "empty": b"",
    "big-endian-lie": b"MM*\0" + exif([(ORIENTATION, SHORT, 1, 6)])[4:],
    "gps-over-nothing": _gps(struct.pack("<6I", 52, 0, 30, 0, 0, 0)),
    "gps-too-far": _gps(struct.pack("<6I", 0xFFFFFFFF, 1, 60000, 1, 7, 1)),
    "date-of-letters": exif(
        [(EXIF_IFD, LONG, 1, 26)], 0, ifd([(DATE, ASCII, 20, 44)]) + b"9999:99:99 99:99:99\0"
    ),
    "date-of-bytes": exif(
        [(EXIF_IFD, LONG, 1, 26)], 0, ifd([(DATE, ASCII, 20, 44)]) + bytes(range(200, 220))
    ),
}


def recipes() -> Iterator[Recipe]:
    for name, tiff in _TIFFS.items():
        yield content("broken EXIF", f"{name}.jpg", lambda tiff=tiff: jpeg_with(tiff))  # type: ignore[misc]
    yield content(
        "broken EXIF",
        "length.jpg",
        lambda: jpeg_with(_TIFFS["circle"]).replace(b"\xff\xe1", b"\xff\xe1\xff", 1),
    )
