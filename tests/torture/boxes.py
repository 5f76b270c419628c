"""MP4: the index missing, and its tables and headers telling lies."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.torture.bases import video
from tests.torture.recipes import Recipe, be16, be32, content, patched

HUGE = 0x7FFFFFFF
FIRST, LAST = "moov-first.mp4", "moov-last.mp4"
_TABLES: dict[str, tuple[int, ...]] = {
    "stts": (4, 8, 12),
    "stsz": (4, 8, 12),
    "stco": (4, 8),
    "stsc": (4, 8, 12),
    "stss": (4, 8),
    "ctts": (4, 8, 12),
}
"""Places in each table after its name's end: counts, then first entries (after version and
flags)."""


def box(data: bytes, name: str) -> tuple[int, int]:
    """First byte and length of the first box of a name."""
    at = data.index(name.encode()) - 4
    return at, int.from_bytes(data[at : at + 4], "big")


def inside(data: bytes, name: str) -> int:
    """The first byte after the name of a box."""
    return box(data, name)[0] + 8


def without(name: str, base: str = FIRST) -> bytes:
    data = video(base)
    at, length = box(data, name)
    return data[:at] + data[at + length :]


def alone(name: str) -> bytes:
    """The file's type and one box, nothing else."""
    data = video(FIRST)
    start, type_length = box(data, "ftyp")
    at, length = box(data, name)
    return data[start : start + type_length] + data[at : at + length]


def put(name: str, place: int, value: int, base: str = FIRST) -> bytes:
    """32 bits at a place after a box's name."""
    data = video(base)
    return patched(data, (inside(data, name) + place, be32(value)))


def _renamed(old: str, new: str, base: str = FIRST) -> bytes:
    return video(base).replace(old.encode(), new.encode(), 1)


def _length(name: str, value: int, base: str = FIRST) -> bytes:
    data = video(base)
    return patched(data, (box(data, name)[0], be32(value)))


def _entry_size(width: int, height: int) -> bytes:
    data = video(FIRST)
    return patched(data, (inside(data, "avc1") + 24, be16(width) + be16(height)))


def _nested(levels: int) -> bytes:
    """Boxes in boxes, deeper than any recursion should go."""
    inner = b""
    for _ in range(levels):
        inner = be32(len(inner) + 8) + b"moov" + inner
    return video(FIRST)[: box(video(FIRST), "ftyp")[1]] + inner


def recipes() -> Iterator[Recipe]:
    yield from _missing()
    for table, places in _TABLES.items():
        for place in places:
            yield content(
                "broken table", f"{table}-{place}-huge.mp4", partial(put, table, place, HUGE)
            )
        yield content("broken table", f"{table}-4-ones.mp4", partial(put, table, 4, 0xFFFFFFFF))
        yield content("broken table", f"{table}-none.mp4", partial(without, table))
    for place, value in ((4, HUGE), (8, HUGE), (12, HUGE), (12, -5), (16, 0), (16, -(2**31))):
        yield content(
            "broken table", f"edit-{place}-{value}.mp4", partial(put, "elst", place, value)
        )
    for name in ("avcC", "dref", "hdlr", "mdhd", "tkhd", "mvhd"):
        yield content("broken table", f"{name}-none.mp4", partial(without, name))
    for name, value in (("trun", HUGE), ("tfhd", HUGE), ("moof", HUGE), ("mfra", HUGE)):
        yield content(
            "broken table", f"{name}-{value}.mp4", partial(put, name, 4, value, "fragments.mp4")
        )
    for value in (0, 1, 7, HUGE, 0xFFFFFFFF):
        yield content("box length", f"mdat-{value}.mp4", partial(_length, "mdat", value))
        yield content("box length", f"moov-{value}.mp4", partial(_length, "moov", value, LAST))
        yield content("box length", f"trak-{value}.mp4", partial(_length, "trak", value))
    yield content("box length", "nested.mp4", partial(_nested, 5000))
    for width, height in ((65535, 65535), (1, 1), (0, 0), (16384, 16384)):
        yield content(
            "huge size in a video",
            f"entry-{width}x{height}.mp4",
            partial(_entry_size, width, height),
        )
    for value in (0, 0x7FFF0000):
        yield content("huge size in a video", f"track-{value}.mp4", partial(put, "tkhd", 76, value))
    for factor in (0, 0x00008000, HUGE):
        yield content("broken table", f"matrix-{factor}.mp4", partial(put, "tkhd", 40, factor))


def _missing() -> Iterator[Recipe]:
    for base in (FIRST, LAST, "fragments.mp4", "hevc.mp4"):
        yield content("missing moov", f"without-{base}", partial(without, "moov", base))
    yield content("missing moov", "only-moov.mp4", partial(alone, "moov"))
    yield content("missing moov", "only-mdat.mp4", partial(alone, "mdat"))
    yield content("missing moov", "only-moof.mp4", partial(without, "mdat", "fragments.mp4"))
    yield content("missing moov", "renamed.mp4", partial(_renamed, "moov", "free"))
    yield content("missing moov", "renamed.mov", partial(_renamed, "mdat", "skip"))
    yield content("unknown codec", "codec.mp4", partial(_renamed, "avc1", "zzzz"))
    yield content("unknown codec", "other-codec.mp4", partial(_renamed, "avc1", "hvc1"))
    yield content("unknown codec", "raw.mp4", partial(_renamed, "avc1", "raw "))
    yield content(
        "unknown codec",
        "codec.mkv",
        lambda: video("h264.mkv").replace(b"V_MPEG4/ISO/AVC", b"V_NOBODY/KNO/WS"),
    )
    yield content(
        "unknown codec", "codec.avi", lambda: video("mjpeg.avi").replace(b"MJPG", b"ZZZZ")
    )
