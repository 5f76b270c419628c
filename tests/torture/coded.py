"""Sizes that the coded pictures themselves declare, which is what a decoder allocates by."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import av

from tests.torture.bases import encoded, muxed, video
from tests.torture.recipes import Recipe, be16, content, le32, patched

SIDES = (65535, 32000, 16000, 1, 0)


def bits_of(data: bytes) -> str:
    return "".join(f"{byte:08b}" for byte in data)


def bytes_of(bits: str) -> bytes:
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def golomb(value: int) -> str:
    """An unsigned number as H.264 writes it."""
    code = f"{value + 1:b}"
    return "0" * (len(code) - 1) + code


def read_golomb(bits: str, at: int) -> tuple[int, int]:
    """The number there, and where the next one begins."""
    zeros = bits.index("1", at) - at
    return int(bits[at + zeros : at + 2 * zeros + 1], 2) - 1, at + 2 * zeros + 1


def with_size(sps: bytes, macroblocks: int) -> bytes:
    """A baseline or main SPS (with its NAL header) of so many macroblocks to each side."""
    bits = bits_of(sps.replace(b"\0\0\3", b"\0\0"))
    at = 32  # NAL header, profile, constraints, level
    _, at = read_golomb(bits, at)  # id
    _, at = read_golomb(bits, at)  # frame numbers
    order, at = read_golomb(bits, at)
    if order == 0:
        _, at = read_golomb(bits, at)
    _, at = read_golomb(bits, at)  # reference frames
    start = at + 1  # gaps allowed
    _, at = read_golomb(bits, start)
    _, at = read_golomb(bits, at)
    side = golomb(max(macroblocks, 1) - 1)
    return bytes_of(bits[:start] + side + side + bits[at:])


def huge_h264(side: int) -> bytes:
    """A transport stream whose parameter sets declare pictures of another size than follow."""
    stream, packets = encoded("libx264", ".ts", options={"profile": "main", "bf": "0"})
    return muxed(".ts", stream, [_resized(p, side // 16) if p.is_keyframe else p for p in packets])


def _resized(packet: av.Packet[Any], macroblocks: int) -> av.Packet[Any]:
    parts = bytes(packet).replace(b"\0\0\0\1", b"\0\0\1").split(b"\0\0\1")
    changed = av.Packet(
        b"\0\0\0\1".join(with_size(p, macroblocks) if p and p[0] & 31 == 7 else p for p in parts)
    )
    changed.pts, changed.dts, changed.is_keyframe = packet.pts, packet.dts, True
    return changed


def huge_vp9(side: int) -> bytes:
    """WebM whose first key frame declares its size as 16 bits for each side, 36 bits into the
    frame."""
    data = video("vp9.webm")
    at = data.index(b"\x49\x83\x42") - 1
    frame = bits_of(data[at : at + 16])
    declared = f"{(side - 1) & 0xFFFF:016b}" * 2
    return patched(data, (at, bytes_of(frame[:36] + declared + frame[68:])))


def huge_mpeg2(side: int) -> bytes:
    """Every sequence header: 12 bits for each side."""
    both = f"{side & 0xFFF:012b}" * 2
    return replaced(video("mpeg2.ts"), b"\0\0\1\xb3", 4, bytes_of(both))


def huge_mjpeg(side: int) -> bytes:
    """Every picture of an AVI."""
    return replaced(video("mjpeg.avi"), b"\xff\xc0", 5, be16(side) * 2)


def huge_avi(side: int) -> bytes:
    """The format of the stream: the picture's size, and of how many bytes it is."""
    data = video("h264.avi")
    at = data.index(b"strf") + 12
    return patched(data, (at, le32(side) * 2), (at + 16, le32(2**31 - 1)))


def replaced(data: bytes, mark: bytes, offset: int, new: bytes) -> bytes:
    """Bytes put over after every mark."""
    result, at = bytearray(data), data.find(mark)
    while at >= 0:
        result[at + offset : at + offset + len(new)] = new
        at = data.find(mark, at + 1)
    return bytes(result)


def tiny(codec: str, suffix: str, side: int) -> bytes:
    stream, packets = encoded(codec, suffix, (side, side), frames=5)
    return muxed(suffix, stream, packets)


def recipes() -> Iterator[Recipe]:
    makers = {
        "sps.ts": huge_h264,
        "vp9.webm": huge_vp9,
        "sequence.ts": huge_mpeg2,
        "mjpeg.avi": huge_mjpeg,
        "strf.avi": huge_avi,
    }
    for side in SIDES:
        for name, make in makers.items():
            yield content("huge size in a video", f"{side}-{name}", partial(make, side))
    for codec, suffix in (
        ("libx264", ".mp4"),
        ("libvpx-vp9", ".webm"),
        ("mjpeg", ".avi"),
        ("mpeg2video", ".ts"),
    ):
        yield content("1x1", f"two-by-two-{codec}{suffix}", partial(tiny, codec, suffix, 2))
    yield content("1x1", "one-by-one-vp9.webm", partial(tiny, "libvpx-vp9", ".webm", 1))
    yield content("1x1", "one-by-one-mjpeg.avi", partial(tiny, "mjpeg", ".avi", 1))
