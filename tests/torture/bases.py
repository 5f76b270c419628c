"""The whole files that the mutations are made of: every container, codec and picture format, small
and textured."""

from __future__ import annotations

import functools
import io
import tempfile
from collections.abc import Callable, Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image

from segpipe.core.types import UInt8

FPS = 25
EXACT = {"fflags": "+bitexact"}
"""No random numbers and no versions in the containers: the corpus is the same each time."""
Times = Callable[[int], int]
"""The time of the n-th packet, in units of the frame interval."""

VIDEOS: dict[str, tuple[str, dict[str, str]]] = {
    "moov-last.mp4": ("libx264", {}),
    "moov-first.mp4": ("libx264", {"movflags": "faststart"}),
    "fragments.mp4": ("libx264", {"movflags": "frag_keyframe+empty_moov"}),
    "hevc.mp4": ("libx265", {}),
    "h264.mkv": ("libx264", {}),
    "h264.ts": ("libx264", {}),
    "vp9.webm": ("libvpx-vp9", {}),
    "mjpeg.avi": ("mjpeg", {}),
    "h264.avi": ("libx264", {}),
    "mpeg2.ts": ("mpeg2video", {}),
}
_ENCODED_FOR = {".ts": "mpegts", ".mpg": "mpegts", ".avi": "avi", ".h264": "avi"}
IMAGES = ("photo.jpg", "progressive.jpg", "photo.png", "photo.webp", "photo.tif", "photo.bmp")
_OPTIONS = {
    "libx264": {"preset": "ultrafast", "bf": "2"},
    "libx265": {"preset": "ultrafast", "x265-params": "log-level=none"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}


def texture(number: int, width: int = 128, height: int = 80) -> UInt8:
    """A picture uint8 [H, W, 3] of moving blocks: flat ones would leave nothing in the payload to
    damage."""
    blocks = np.random.default_rng(7).integers(
        0, 255, (height // 4 + 1, width // 4 + 1, 3), np.uint8
    )
    whole = blocks.repeat(4, axis=0).repeat(4, axis=1)[:height, :width]
    return np.ascontiguousarray(np.roll(whole, 3 * number, axis=1))


def encoded(
    codec: str,
    suffix: str,
    size: tuple[int, int] = (128, 80),
    frames: int = 24,
    pixels: str = "",
    gop: int = 8,
    options: dict[str, str] | None = None,
) -> tuple[av.VideoStream, list[av.Packet[Any]]]:
    """Packets of textures for a container, and the stream that they were made for (its parameters
    are needed to mux them)."""
    # Some containers want the parameter sets in their header, others among the packets; the encoder
    # has to know.
    with av.open(io.BytesIO(), "w", format=_ENCODED_FOR.get(suffix, "matroska")) as sink:
        stream = sink.add_stream(
            codec, rate=FPS, options={**_OPTIONS.get(codec, {}), **(options or {})}
        )
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = size
        stream.pix_fmt, stream.gop_size = (
            pixels or ("yuvj420p" if codec == "mjpeg" else "yuv420p"),
            gop,
        )
        stream.codec_context.thread_count = 1
        packets: list[av.Packet[Any]] = []
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(texture(number, *size), format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        sink.start_encoding()  # gives the stream its parameters
    return stream, packets


def muxed(
    suffix: str,
    stream: av.VideoStream,
    packets: Iterable[av.Packet[Any]],
    options: dict[str, str] | None = None,
    times: Times | None = None,
) -> bytes:
    """Packets in a container, with other times where `times` gives them."""
    # A path and no buffer: faststart has to read what it wrote
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"clip{suffix}"
        with av.open(str(path), "w", options=EXACT | (options or {})) as sink:
            target = sink.add_stream_from_template(stream)
            for number, packet in enumerate(packets):
                if times is not None:
                    packet.pts = packet.dts = times(number)
                packet.time_base, packet.stream = Fraction(1, FPS), target
                sink.mux(packet)
        return path.read_bytes()


@functools.cache
def video(name: str) -> bytes:
    """One of VIDEOS."""
    codec, options = VIDEOS[name]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        with av.open(str(path), "w", options=EXACT | options) as sink:
            stream = sink.add_stream(codec, rate=FPS, options=_OPTIONS.get(codec, {}))
            assert isinstance(stream, av.VideoStream)
            stream.width, stream.height, stream.gop_size = 128, 80, 8
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            for number in range(24):
                frame = av.VideoFrame.from_ndarray(texture(number), format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, FPS)
                sink.mux(stream.encode(frame))
            sink.mux(stream.encode(None))
        return path.read_bytes()


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    """A picture in a format of Pillow's."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@functools.cache
def image(name: str) -> bytes:
    """One of IMAGES."""
    picture = Image.fromarray(texture(1, 160, 120))
    kind = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF", "bmp": "BMP"}[
        name.rpartition(".")[2]
    ]
    options: dict[str, dict[str, object]] = {
        "progressive.jpg": {"progressive": True},
        "photo.tif": {"compression": "tiff_lzw"},
    }
    return saved(picture, kind, **options.get(name, {}))


def base(name: str) -> bytes:
    """A video or an image by its name."""
    return video(name) if name in VIDEOS else image(name)
