"""What a connection gives where a camera changes, has no times, or goes on with its sound alone."""

from __future__ import annotations

import contextlib
import time
from fractions import Fraction
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from segpipe.errors import SourceError
from segpipe.isolation import alive
from tests.footage import picture
from tests.streams.recording import frames_of, gaps_of, record, stream_job
from tests.streams.servers import Pipe, http_server

FAST = {"tune": "zerolatency", "preset": "ultrafast"}
SIZE = (64, 48)


def video_in(container: av.container.OutputContainer, size: tuple[int, int] = SIZE) -> av.VideoStream:
    stream = container.add_stream("libx264", rate=10, options=FAST)
    stream.width, stream.height = size
    stream.pix_fmt, stream.gop_size, stream.codec_context.time_base = "yuv420p", 10, Fraction(1, 1000)
    return stream


def frame(number: int, pts_ms: int, size: tuple[int, int] = SIZE) -> av.VideoFrame:
    found = av.VideoFrame.from_ndarray(picture(number, *size), format="rgb24")
    found.pts, found.time_base = pts_ms, Fraction(1, 1000)
    return found


def begin(handler: BaseHTTPRequestHandler, kind: str = "video/mp2t") -> Any:
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    handler.end_headers()
    return handler.wfile


def sleep_until(moment_s: float) -> None:
    time.sleep(max(0.0, moment_s - time.monotonic()))


@pytest.mark.parametrize("sizes", [(SIZE, (320, 240), SIZE), ((320, 240),)])
def test_pictures_that_are_too_large(tmp_path: Path, sizes: tuple[tuple[int, int], ...]) -> None:
    """A camera that changes its size in the middle, and one that is too large from the beginning on."""

    def serve(handler: BaseHTTPRequestHandler) -> None:
        out, number, since = begin(handler), 0, time.monotonic()
        with contextlib.suppress(OSError, av.error.FFmpegError):
            for size in sizes:
                with av.open(Pipe(out), "w", format="mpegts", options={"flush_packets": "1"}) as container:
                    stream = video_in(container, size)
                    for _ in range(15):
                        container.mux(stream.encode(frame(number, number * 100, size)))
                        number += 1
                        sleep_until(since + number / 10)

    read = {"isolate": False, "max_pixels": 64 * 48}
    with http_server(serve) as url:
        job = stream_job(tmp_path, f"{url}/cam", stream={"duration": "4.4s"}, read=read)
        if len(sizes) == 1:
            with pytest.raises(SourceError, match=r"320 x 240 = 76800 pixels are too large"):
                record(job)
            return
        record(job)
    found = frames_of(tmp_path)
    failed = [r["pts_s"] for r in found if r["status"] == "error"]
    assert 12 <= len(failed) <= 15
    assert {(r["width"], r["height"]) for r in found if r["status"] == "ok"} == {SIZE}
    assert found[-1]["status"] == "ok", "it goes on when the pictures are small again"
    assert all(1.0 < t < 3.2 for t in failed)


@pytest.mark.parametrize("fps", [10, 30])
def test_a_camera_without_times_has_those_of_arrival(tmp_path: Path, fps: int) -> None:
    """Bare H.264: FFmpeg takes it for 25 frames a second, whatever comes."""

    def serve(handler: BaseHTTPRequestHandler) -> None:
        out, encoder = begin(handler, "video/h264"), av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = *SIZE, "yuv420p", Fraction(1, 1000)
        encoder.options = FAST | {"x264-params": "keyint=10:repeat-headers=1"}
        since = time.monotonic()
        with contextlib.suppress(OSError):
            for number in range(1000):
                for packet in encoder.encode(frame(number, round(number * 1000 / fps))):
                    out.write(bytes(packet))
                out.flush()
                sleep_until(since + (number + 1) / fps)

    before = time.time()
    with http_server(serve) as url:
        record(stream_job(tmp_path, f"{url}/cam.h264", stream={"duration": "5s"}))
    found = frames_of(tmp_path)
    times = np.array([r["timestamp"].timestamp() for r in found])
    steps = np.diff(times)
    assert np.median(steps) == pytest.approx(1 / fps, rel=0.2)
    assert steps[:15].min() > 0.2 / fps, "what had come while the connection was opened is spread over that time"
    assert times[0] - before < 0.7
    assert times[-1] - before == pytest.approx(5, abs=0.5)
    assert len(found) == pytest.approx(5 * fps, rel=0.2)


def test_sound_alone_is_no_sign_of_life(tmp_path: Path) -> None:
    """The picture stops after a second and a half, the sound goes on."""
    connections = []

    def serve(handler: BaseHTTPRequestHandler) -> None:
        out, since = begin(handler), time.monotonic()
        connections.append(since)
        with (
            contextlib.suppress(OSError, av.error.FFmpegError),
            av.open(Pipe(out), "w", format="mpegts", options={"flush_packets": "1", "max_interleave_delta": "1"}) as container,
        ):
            stream, sound = video_in(container), container.add_stream("mp2", rate=48000)
            for number in range(120):
                if number < 15:
                    container.mux(stream.encode(frame(number, number * 100)))
                for part in range(4):
                    samples = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 1200), np.int16), format="s16", layout="stereo")
                    samples.sample_rate, samples.pts = 48000, number * 4800 + part * 1200
                    samples.time_base = Fraction(1, 48000)
                    container.mux(sound.encode(samples))
                sleep_until(since + (number + 1) / 10)

    with http_server(serve) as url:
        record(stream_job(tmp_path, f"{url}/cam", stream={"duration": "5s", "timeout_s": 1.0}))
    assert len(connections) >= 2
    gap = next(g for g in gaps_of(tmp_path) if g["kind"] == "stall")
    assert "no picture came for 1 s" in gap["reason"]
    assert gap["start_pts_s"] == pytest.approx(1.3, abs=0.2)  # FFmpeg waits for what follows the last ones
    assert frames_of(tmp_path)[-1]["timestamp"] > gap["stop"]


def test_packets_that_no_frame_comes_of_are_signs_of_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Key frames only, of a camera that has one an hour."""
    beats: list[float] = []
    monkeypatch.setattr(alive, "beat", lambda: beats.append(time.monotonic()))

    def serve(handler: BaseHTTPRequestHandler) -> None:
        out, since = begin(handler), time.monotonic()
        with (
            contextlib.suppress(OSError, av.error.FFmpegError),
            av.open(Pipe(out), "w", format="mpegts", options={"flush_packets": "1"}) as container,
        ):
            stream = video_in(container)
            stream.gop_size = 36_000
            for number in range(120):
                container.mux(stream.encode(frame(number, number * 100)))
                sleep_until(since + (number + 1) / 10)

    with http_server(serve) as url:
        record(stream_job(tmp_path, f"{url}/cam", stream={"duration": "4.5s"}, sampling={"keyframes": True}))
    assert len(frames_of(tmp_path)) == 1
    assert len([t for t in beats if t > beats[0] + 1]) >= 3
