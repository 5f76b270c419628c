"""Streams that change on the way, that can't be begun, or that hold no pictures."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from functools import partial

import av
from PIL import Image

from tests.torture.bases import EXACT, encoded, image, muxed, saved, texture, video
from tests.torture.boxes import inside
from tests.torture.recipes import Recipe, be32, contents, patched
from tests.torture.times import Change, stamped

Part = tuple[str, tuple[int, int], str]
"""Codec, size and pixel format of a part of a stream."""
SMALL, WIDE, TINY = (128, 80), (640, 360), (16, 16)


def changing(suffix: str, *parts: Part) -> bytes:
    """One stream whose packets come from several encoders; each begins with a key frame."""
    first, packets = encoded(parts[0][0], suffix, parts[0][1], 8, parts[0][2])
    for codec, size, pixels in parts[1:]:
        packets = packets + encoded(codec, suffix, size, 8, pixels)[1]
    return muxed(suffix, first, packets, times=lambda n: n)


def joined(*parts: Part, apart: bool = True) -> bytes:
    """Transport streams one after the other, as recorders leave them: the times go on, or begin
    anew with each."""
    made = [muxed(".ts", *encoded(codec, ".ts", size, 8, pixels)) for codec, size, pixels in parts]
    seconds = 90_000 if apart else 0

    def later(by: int) -> Change:
        return lambda _, ticks: ticks + by

    return b"".join(stamped(data, later(n * seconds)) for n, data in enumerate(made))


def without_key_frames(suffix: str, codec: str = "libx264") -> bytes:
    stream, packets = encoded(
        codec, suffix, gop=100, options={"bf": "0"} if codec == "libx264" else {}
    )
    return muxed(suffix, stream, packets[1:], times=lambda n: n)


def no_sync_samples(count: int) -> bytes:
    """The list of key frames of an MP4: emptied, or of one that doesn't exist."""
    data = video("moov-first.mp4")
    at = inside(data, "stss")
    return patched(data, (at + 4, be32(count) + be32(0x7FFFFFFF)))


def sound(suffix: str, cover: bool = False) -> bytes:
    """A second of sound, with a picture of its cover where asked for."""
    sink = io.BytesIO()
    with av.open(
        sink,
        "w",
        format={".mp4": "mp4", ".mkv": "matroska", ".ts": "mpegts"}[suffix],
        options=EXACT,
    ) as container:
        stream = container.add_stream("aac", rate=16000, layout="mono")
        picture = container.add_stream("mjpeg", rate=1) if cover else None
        if picture is not None:
            picture.width, picture.height, picture.pix_fmt = 128, 80, "yuvj420p"
            picture.disposition = av.stream.Disposition.attached_pic
            container.mux(picture.encode(av.VideoFrame.from_ndarray(texture(1), format="rgb24")))
            container.mux(picture.encode(None))
        for block in range(16):
            frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
            frame.rate, frame.pts, frame.time_base = 16000, block * 1024, Fraction(1, 16000)
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return sink.getvalue()


def _handler(kind: bytes) -> bytes:
    """An MP4 whose only track says that it is something else than video."""
    return video("moov-first.mp4").replace(b"vide", kind, 1)


def recipes() -> Iterator[Recipe]:
    h264, mjpeg, vp9 = "libx264", "mjpeg", "libvpx-vp9"
    plain, jpeg = "yuv420p", "yuvj420p"
    yield from contents(
        "change in mid-stream",
        {
            "size.ts": partial(joined, (h264, SMALL, plain), (h264, WIDE, plain)),
            "size-down.ts": partial(joined, (h264, WIDE, plain), (h264, TINY, plain)),
            "size-again.ts": partial(
                joined, (h264, SMALL, plain), (h264, WIDE, plain), apart=False
            ),
            "codec.ts": partial(joined, (h264, SMALL, plain), ("mpeg2video", SMALL, plain)),
            "codec-h265.ts": partial(joined, (h264, SMALL, plain), ("libx265", WIDE, plain)),
            "pixels.ts": partial(joined, (h264, SMALL, plain), (h264, SMALL, "yuv444p")),
            "size.avi": partial(changing, ".avi", (mjpeg, SMALL, jpeg), (mjpeg, WIDE, jpeg)),
            "size.mp4": partial(changing, ".mp4", (mjpeg, WIDE, jpeg), (mjpeg, TINY, jpeg)),
            "size.mkv": partial(changing, ".mkv", (vp9, SMALL, plain), (vp9, WIDE, plain)),
            "sps.mkv": partial(changing, ".mkv", (h264, SMALL, plain), (h264, WIDE, plain)),
            "pixels.avi": partial(
                changing, ".avi", (mjpeg, SMALL, jpeg), (mjpeg, SMALL, "yuvj444p")
            ),
            "back.avi": partial(changing, ".avi", *[(mjpeg, s, jpeg) for s in (SMALL, WIDE) * 3]),
            "codec.mp4": partial(changing, ".mp4", (h264, SMALL, plain), (mjpeg, SMALL, jpeg)),
        },
    )
    yield from contents(
        "no key frame",
        {
            "cut.ts": partial(without_key_frames, ".ts"),
            "cut.mkv": partial(without_key_frames, ".mkv"),
            "cut.mp4": partial(without_key_frames, ".mp4"),
            "cut.avi": partial(without_key_frames, ".avi"),
            "vp9.webm": partial(without_key_frames, ".webm", vp9),
            "mpeg2.ts": partial(without_key_frames, ".ts", "mpeg2video"),
            "stss-empty.mp4": partial(no_sync_samples, 0),
            "stss-beyond.mp4": partial(no_sync_samples, 1),
            "middle.ts": lambda: video("h264.ts")[188 * 9 :],
        },
    )
    yield from contents(
        "no pictures",
        {
            "sound.mp4": partial(sound, ".mp4"),
            "sound.mkv": partial(sound, ".mkv"),
            "sound.ts": partial(sound, ".ts"),
            "cover.mp4": partial(sound, ".mp4", True),
            "subtitles.mkv": lambda: (
                b"1\n00:00:01,000 --> 00:00:02,000\nNo film\n\n2\n00:00:03,000 --> "
                b"00:00:04,000\nNone\n"
            ),
            "subtitles.mp4": partial(_handler, b"sbtl"),
            "data.mp4": partial(_handler, b"meta"),
            "nobody.mp4": partial(_handler, b"\0\0\0\0"),
        },
    )
    yield from contents(
        "wrong extension",
        {
            "jpeg.mp4": partial(image, "photo.jpg"),
            "png.avi": partial(image, "photo.png"),
            "bmp.mkv": partial(image, "photo.bmp"),
            "tiff.mp4": partial(image, "photo.tif"),
            "webp.webm": partial(image, "photo.webp"),
            "mp4.png": partial(video, "moov-first.mp4"),
            "mkv.jpg": partial(video, "h264.mkv"),
            "ts.bmp": partial(video, "h264.ts"),
            "png.jpg": partial(image, "photo.png"),
            "jpeg.tif": partial(image, "photo.jpg"),
            "ts.mp4": partial(video, "h264.ts"),
            "mp4.avi": partial(video, "moov-last.mp4"),
            "avi.mkv": partial(video, "mjpeg.avi"),
            "pdf.png": lambda: saved(
                Image.fromarray(texture(1)), "PDF", creationDate=None, modDate=None
            ),
            "icon.png": lambda: saved(Image.fromarray(texture(1)), "ICO"),
        },
    )
