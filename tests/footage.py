"""Real files for the tests: encoded videos and images, made where the test runs."""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from segpipe.core.types import UInt8


def picture(number: int, width: int = 160, height: int = 96) -> UInt8:
    """A picture uint8 [H, W, 3] whose brightness tells its number (steps of 2 survive any
    codec)."""
    image = np.full((height, width, 3), 20 + number * 2 % 220, np.uint8)
    image[: height // 3, : width // 3] = (200, 30, 30)
    return image


def make_video(
    path: Path,
    codec: str = "libx264",
    frames: int = 40,
    fps: int = 20,
    pixel_format: str = "yuv420p",
    steps_ms: tuple[int, ...] = (),
    audio_first: bool = False,
    gop: int = 10,
    size: tuple[int, int] = (160, 96),
    options: dict[str, str] | None = None,
) -> Path:
    """Encode `picture`s. `steps_ms` makes a variable frame rate: the steps between frames, in
    turn. Two files are two recordings: each holds its path."""
    with av.open(str(path), "w") as container:
        container.metadata.update(comment=str(path), service_name=str(path))
        audio = container.add_stream("aac", rate=44100) if audio_first else None
        stream = container.add_stream(codec, rate=fps, options=options or {})
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = *size, pixel_format, gop
        base = Fraction(1, 1000) if steps_ms else Fraction(1, fps)
        if steps_ms:
            stream.codec_context.time_base = base
        if audio is not None:
            for packet in silence(audio, frames / fps):
                container.mux(packet)
        time = 0
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
            frame.pts, frame.time_base = (time if steps_ms else number), base
            time += steps_ms[number % len(steps_ms)] if steps_ms else 0
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if audio is not None:
            container.mux(audio.encode(None))
    return path


def make_streams(
    path: Path,
    colours: tuple[tuple[int, int, int], ...] = ((200, 30, 30), (30, 30, 200)),
    frames: int = 20,
    fps: int = 10,
    default: int = 0,
    codec: str = "libx264",
    gop: int = 10,
) -> Path:
    """Encode a video stream of each colour into one file: of 160x96, 320x192 and so on; `default`
    is flagged as such. Two files are two recordings: each holds its path."""
    with av.open(str(path), "w") as container:
        container.metadata.update(comment=str(path), service_name=str(path))
        streams = [container.add_stream(codec, rate=fps, options={"bf": "0"}) for _ in colours]
        for number, stream in enumerate(streams):
            stream.width, stream.height, stream.pix_fmt, stream.gop_size = (
                160 << number,
                96 << number,
                "yuv420p",
                gop,
            )
            stream.disposition = (
                av.stream.Disposition.default if number == default else av.stream.Disposition(0)
            )
        for time in range(frames):
            for stream, colour in zip(streams, colours, strict=True):
                rgb = np.full((stream.height, stream.width, 3), colour, np.uint8)
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                frame.pts, frame.time_base = time, Fraction(1, fps)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode(None))
    return path


def silence(stream: av.AudioStream, seconds: float) -> list[av.Packet]:
    packets = []
    for block in range(int(seconds * 44100 / 1024) + 1):
        frame = av.AudioFrame(format="fltp", layout="stereo", samples=1024)
        frame.rate, frame.pts = 44100, block * 1024
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        packets += stream.encode(frame)
    return packets


def rotate_mp4(path: Path, quarter_turns: int) -> Path:
    """Put a display matrix into the track header of an MP4: turned clockwise by quarters."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4
    matrix_at = at + 40 + (12 if data[at] == 1 else 0)
    one = 0x00010000
    cos, sin = ((one, 0), (0, one), (-one, 0), (0, -one))[quarter_turns % 4]
    values = (cos, sin, 0, -sin, cos, 0, 0, 0, 0x40000000)
    data[matrix_at : matrix_at + 36] = b"".join(v.to_bytes(4, "big", signed=True) for v in values)
    path.write_bytes(data)
    return path


def decoded(path: Path) -> list[tuple[float, UInt8]]:
    """PyAV's own reading: time and picture of every frame, from the file's start; a packet that
    gives an error is left out."""
    found = []
    with av.open(str(path)) as container:
        for packet in container.demux(video=0):
            with contextlib.suppress(av.error.FFmpegError):
                found += [(float(f.time), f.to_ndarray(format="rgb24")) for f in packet.decode()]
    return found
