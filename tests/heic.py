"""HEIC files for the tests: one HEVC picture of PyAV's encoder, and the boxes of ISO/IEC 23008-12
around it."""

from __future__ import annotations

import re
import struct
from fractions import Fraction

import av

from segpipe.core.types import UInt8


def box(name: bytes, *content: bytes) -> bytes:
    body = b"".join(content)
    return struct.pack(">I4s", 8 + len(body), name) + body


def full(name: bytes, version: int, *content: bytes, flags: int = 0) -> bytes:
    return box(name, struct.pack(">I", version << 24 | flags), *content)


def coded(rgb: UInt8, pixel_format: str) -> tuple[bytes, bytes]:
    """The decoder's configuration (a box hvcC) of an RGB picture uint8 [H, W, 3], and its coded
    picture."""
    codec = av.CodecContext.create("libx265", "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.height, codec.width, codec.pix_fmt = *rgb.shape[:2], pixel_format
    codec.time_base, codec.options = (
        Fraction(1, 1),
        {"crf": "4", "x265-params": "log-level=0:repeat-headers=1"},
    )
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
    frame.pts = 0
    stream = b"".join(bytes(p) for p in (*codec.encode(frame), *codec.encode(None)))
    units = [u for u in re.split(rb"\0\0\0?\x01", stream) if u]
    # VPS, SPS, PPS.
    parameters = [[u for u in units if u[0] >> 1 & 63 == kind] for kind in (32, 33, 34)]
    pictures = [u for u in units if u[0] >> 1 & 63 < 32]
    profile = parameters[1][0].replace(b"\0\0\x03", b"\0\0")[3:15]
    chroma = {"420": 1, "422": 2, "444": 3}[pixel_format[3:6]]
    bits = int(pixel_format.partition("p")[2].removesuffix("le") or 8) - 8
    head = (
        b"\x01"
        + profile
        + struct.pack(">HBBBBHB", 0xF000, 0xFC, 0xFC | chroma, 0xF8 | bits, 0xF8 | bits, 0, 0x0F)
    )
    arrays = [
        struct.pack(">BH", 0x80 | kind, len(units))
        + b"".join(struct.pack(">H", len(u)) + u for u in units)
        for kind, units in zip((32, 33, 34), parameters, strict=True)
    ]
    return box(b"hvcC", head, bytes([3]), *arrays), b"".join(
        struct.pack(">I", len(u)) + u for u in pictures
    )


def heic(
    rgb: UInt8,
    quarter_turns_left: int = 0,
    mirror: int | None = None,
    exif: bytes = b"",
    pixel_format: str = "yuv420p",
    brand: bytes = b"heic",
    size: tuple[int, int] | None = None,
    xmp: bytes = b"",
) -> bytes:
    """A HEIC with this coded picture. `quarter_turns_left` is the property irot, `mirror` the mode
    of imir (0: top and bottom change places; 1: left and right), which comes after it. `exif`
    begins with the TIFF header; `size` is what the header claims (width, height)."""
    configuration, picture = coded(rgb, pixel_format)
    width, height = size or (rgb.shape[1], rgb.shape[0])
    properties = [configuration, full(b"ispe", 0, struct.pack(">II", width, height))]
    essential = [1 | 0x80, 2]
    if quarter_turns_left:
        properties.append(box(b"irot", bytes([quarter_turns_left])))
        essential.append(len(properties) | 0x80)
    if mirror is not None:
        properties.append(box(b"imir", bytes([mirror])))
        essential.append(len(properties) | 0x80)
    items = [(1, b"hvc1", b"", picture)]
    if exif:
        items.append((2, b"Exif", b"", struct.pack(">I", 6) + b"Exif\0\0" + exif))
    if xmp:
        items.append((3, b"mime", b"application/rdf+xml\0", xmp))
    entries = [
        full(b"infe", 2, struct.pack(">HH4s", i, 0, kind), b"\0", more)
        for i, kind, more, _ in items
    ]
    references = [box(b"cdsc", struct.pack(">HHH", i, 1, 1)) for i, *_ in items[1:]]
    head = box(b"ftyp", brand, b"\0\0\0\0", b"mif1", b"heic")
    start = 0
    for _ in range(2):  # the places of the items depend on the size of the box that names them
        places = b""
        at = start + 8
        for number, _, _, content in items:
            places += struct.pack(">HHHII", number, 0, 1, at, len(content))
            at += len(content)
        meta = full(
            b"meta",
            0,
            full(b"hdlr", 0, struct.pack(">I4s", 0, b"pict"), b"\0" * 13),
            full(b"pitm", 0, struct.pack(">H", 1)),
            full(b"iloc", 0, b"\x44\0", struct.pack(">H", len(items)), places),
            full(b"iinf", 0, struct.pack(">H", len(items)), *entries),
            *([full(b"iref", 0, *references)] if references else []),
            box(
                b"iprp",
                box(b"ipco", *properties),
                full(b"ipma", 0, struct.pack(">IHB", 1, 1, len(essential)), bytes(essential)),
            ),
        )
        start = len(head) + len(meta)
    return head + meta + box(b"mdat", *(content for *_, content in items))
