"""Times that no clock would give: negative, repeated, jumping, an hour apart, and rates of zero."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from io import BytesIO

import av

from tests.torture.bases import EXACT, FPS, encoded, muxed, video
from tests.torture.boxes import inside
from tests.torture.recipes import Recipe, be32, content, contents, le32, patched

WRAP = 2**33
"""MPEG's clock of 90 kHz starts anew after so many ticks."""
JUMP = 4_000_000_000
HOUR = 3600 * FPS
Change = Callable[[int, int], int]
"""From the number of a picture and its time, in ticks of 90 kHz, to another time."""


def remuxed(
    suffix: str,
    times: Callable[[int], int],
    frames: int = 24,
    codec: str = "libx264",
    **options: str,
) -> bytes:
    """Frames without reordering, at these times (in frame intervals)."""
    stream, packets = encoded(
        codec, suffix, frames=frames, options={"bf": "0"} if codec == "libx264" else {}
    )
    return muxed(suffix, stream, packets, {"avoid_negative_ts": "disabled", **options}, times)


def stamped(data: bytes, change: Change) -> bytes:
    """A transport stream with other times: no muxer would write them. Decoding times move with the
    presentation times."""
    result, at, number = bytearray(data), data.find(b"\0\0\1\xe0"), 0
    while at >= 0:
        if data[at + 7] & 0x80:
            moved = change(number, _ticks(data, at + 9)) - _ticks(data, at + 9)
            for place in (at + 9, at + 14)[: 2 if data[at + 7] & 0x40 else 1]:
                result[place : place + 5] = _packed(data[place] >> 4, _ticks(data, place) + moved)
            number += 1
        at = data.find(b"\0\0\1\xe0", at + 1)
    return bytes(result)


def _ticks(data: bytes, at: int) -> int:
    b = data[at : at + 5]
    return (b[0] >> 1 & 7) << 30 | b[1] << 22 | (b[2] >> 1) << 15 | b[3] << 7 | b[4] >> 1


def _packed(prefix: int, ticks: int) -> bytes:
    t = ticks % WRAP
    return bytes(
        (
            prefix << 4 | t >> 29 & 14 | 1,
            t >> 22 & 255,
            t >> 14 & 254 | 1,
            t >> 7 & 255,
            t << 1 & 254 | 1,
        )
    )


def _ts(change: Change) -> bytes:
    return stamped(video("h264.ts"), change)


def _delta(value: int) -> bytes:
    """Every step between the frames of an MP4."""
    data = video("moov-first.mp4")
    return patched(data, (inside(data, "stts") + 12, be32(value)))


def _offset(value: int) -> bytes:
    """The first frame's way from decoding to presentation, signed as version 1 has it."""
    data = video("moov-first.mp4")
    at = inside(data, "ctts")
    return patched(data, (at, b"\1"), (at + 12, be32(value)))


def _timescale(name: str, value: int) -> bytes:
    data = video("moov-first.mp4")
    return patched(data, (inside(data, name) + 12, be32(value)))


def _avi_rate(scale: int, rate: int) -> bytes:
    data = video("mjpeg.avi")
    at, main = data.index(b"strh") + 8, data.index(b"avih") + 8
    return patched(data, (main, le32(0)), (at + 20, le32(scale) + le32(rate)))


def _mkv_without(element: bytes) -> bytes:
    """An element of Matroska renamed to Void, so that its content is passed over."""
    data = video("h264.mkv")
    at = data.index(element)
    length = len(element)
    return patched(
        data,
        (at, b"\xec" + bytes([0x80 | (length - 1 + (data[at + length] & 0x7F) - 0)])[: length - 1]),
    )


def _mpeg_rate(code: int) -> bytes:
    data = bytearray(video("mpeg2.ts"))
    at = data.find(b"\0\0\1\xb3")
    while at >= 0:
        data[at + 7] = data[at + 7] & 0xF0 | code
        at = data.find(b"\0\0\1\xb3", at + 1)
    return bytes(data)


def _long_silence(suffix: str) -> bytes:
    """An hour of sound without a picture, then one frame: sound packets are few and long."""
    stream, packets = encoded("libx264", suffix, frames=1)
    sink = BytesIO()
    with av.open(
        sink,
        "w",
        format={".mkv": "matroska", ".ts": "mpegts", ".mp4": "mp4"}[suffix],
        options=EXACT,
    ) as container:
        target, sound = (
            container.add_stream_from_template(stream),
            container.add_stream("mp2", rate=16000),
        )
        sound.layout = "mono"
        for block in range(0, 3600, 4):
            frame = av.AudioFrame(format="s16", layout="mono", samples=1152)
            frame.rate, frame.pts, frame.time_base = 16000, block * 16000, Fraction(1, 16000)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            container.mux(sound.encode(frame))
        for packet in packets:
            packet.pts = packet.dts = HOUR
            packet.time_base, packet.stream = Fraction(1, FPS), target
            container.mux(packet)
        container.mux(sound.encode(None))
    return sink.getvalue()


def recipes() -> Iterator[Recipe]:
    yield from contents(
        "negative PTS",
        {
            "all.mkv": partial(remuxed, ".mkv", lambda n: n - 100),
            "half.mkv": partial(remuxed, ".mkv", lambda n: n - 12),
            "all.mp4": partial(remuxed, ".mp4", lambda n: n - 100),
            "wrapped.ts": partial(_ts, lambda n, t: n * 3600 - 40_000),
            "offset.mp4": partial(_offset, -(2**31)),
            "offset-small.mp4": partial(_offset, -2000),
        },
    )
    yield from contents(
        "repeated PTS",
        {
            "all.ts": partial(_ts, lambda n, t: 90_000),
            "pairs.ts": partial(_ts, lambda n, t: 90_000 + n // 2 * 7200),
            "all.mp4": partial(_delta, 0),
            "triples.mkv": partial(remuxed, ".mkv", lambda n: n // 3 * 3),
            "once.mkv": partial(remuxed, ".mkv", lambda n: n - (n > 12)),
            "two-steps.mpg": partial(
                remuxed, ".mpg", lambda n: n // 2 * 2 + n % 2, 24, "mpeg2video"
            ),
        },
    )
    yield from contents(
        "PTS jump",
        {
            "forward.ts": partial(_ts, lambda n, t: t + JUMP * (n > 12)),
            "backwards.ts": partial(_ts, lambda n, t: t - 60_000 * (n > 12)),
            "wild.ts": partial(_ts, lambda n, t: (n * 2_654_435_761) % WRAP),
            "over-the-wrap.ts": partial(_ts, lambda n, t: WRAP - 40_000 + t),
            "downhill.ts": partial(_ts, lambda n, t: 10_000_000 - n * 3600),
            "forward.mkv": partial(remuxed, ".mkv", lambda n: n + 10**8 * (n > 12)),
            "forward.mp4": partial(remuxed, ".mp4", lambda n: n + JUMP // 512 * (n > 12)),
            "delta.mp4": partial(_delta, 2**31 - 1),
            "delta-negative.mp4": partial(_delta, -1),
            "offset.mp4": partial(_offset, 2**31 - 1),
        },
    )
    yield from contents(
        "0 fps",
        {
            "timescale.mp4": partial(_timescale, "mdhd", 0),
            "movie-timescale.mp4": partial(_timescale, "mvhd", 0),
            "timescale-huge.mp4": partial(_timescale, "mdhd", -1),
            "rate.avi": partial(_avi_rate, 1, 0),
            "scale.avi": partial(_avi_rate, 0, 25),
            "both.avi": partial(_avi_rate, 0, 0),
            "huge.avi": partial(_avi_rate, -1, 1),
            "fast.avi": partial(_avi_rate, 1, -1),
            "duration.mkv": partial(_mkv_without, b"\x44\x89"),
            "default.mkv": partial(_mkv_without, b"\x23\xe3\x83"),
            "code.ts": partial(_mpeg_rate, 0),
            "code-unknown.ts": partial(_mpeg_rate, 15),
        },
    )
    for suffix in (".mp4", ".mkv", ".ts"):
        yield content("an hour of silence", f"then-a-frame{suffix}", partial(_long_silence, suffix))
        yield content(
            "an hour of silence",
            f"between-frames{suffix}",
            partial(remuxed, suffix, lambda n: n * HOUR, 2),
        )
