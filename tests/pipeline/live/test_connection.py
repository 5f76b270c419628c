"""What a connection gives where a camera changes, has no times, or goes on with its sound alone."""

from __future__ import annotations

import contextlib
import itertools
import time
from fractions import Fraction
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from segpipe.core.errors import SourceError
from segpipe.runtime.isolation import heartbeat
from tests.clock import HANG_S
from tests.footage import picture
from tests.pipeline.live.progress import OwnTime, Progress, until
from tests.pipeline.live.recording import frames_of, gaps_of, record, stream_job
from tests.pipeline.live.servers import Pipe, http_server, hung_up

FAST = {"tune": "zerolatency", "preset": "ultrafast"}
SIZE = (64, 48)


def video_in(
    container: av.container.OutputContainer, size: tuple[int, int] = SIZE
) -> av.VideoStream:
    stream = container.add_stream("libx264", rate=10, options=FAST)
    stream.width, stream.height = size
    stream.pix_fmt, stream.gop_size, stream.codec_context.time_base = (
        "yuv420p",
        10,
        Fraction(1, 1000),
    )
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


def hold(handler: BaseHTTPRequestHandler) -> None:
    """Send nothing more, until the recording hangs up."""
    while not hung_up(handler):
        time.sleep(0.02)


@pytest.mark.parametrize("sizes", [(SIZE, (320, 240), SIZE), ((320, 240),)])
def test_pictures_that_are_too_large(
    tmp_path: Path, sizes: tuple[tuple[int, int], ...], own_time: OwnTime
) -> None:
    """A camera that changes its size in the middle, and one that is too large from the beginning
    on."""

    def serve(handler: BaseHTTPRequestHandler) -> None:
        out, number, pace = begin(handler), 0, own_time.pace()
        with contextlib.suppress(OSError, av.error.FFmpegError):
            for size in sizes:
                with av.open(
                    Pipe(out), "w", format="mpegts", options={"flush_packets": "1"}
                ) as container:
                    stream = video_in(container, size)
                    for _ in range(15):
                        container.mux(stream.encode(frame(number, number * 100, size)))
                        number += 1
                        pace.step(handler, 0.1)
            hold(handler)

    read = {"isolate": False, "max_pixels": 64 * 48}
    with http_server(serve) as url:
        job = stream_job(tmp_path, f"{url}/cam", read=read)
        if len(sizes) == 1:
            with pytest.raises(SourceError, match=r"320 x 240 = 76800 pixels are too large"):
                record(job)
            return
        record(job, until(lambda: own_time.done >= 38))
    found = frames_of(tmp_path)
    failed = [r["pts_s"] for r in found if r["status"] == "error"]
    assert 12 <= len(failed) <= 15
    assert {(r["width"], r["height"]) for r in found if r["status"] == "ok"} == {SIZE}
    assert found[-1]["status"] == "ok", "it goes on when the pictures are small again"
    assert all(1.0 < t < 3.2 for t in failed)


@pytest.mark.parametrize("fps", [10, 30])
def test_a_camera_without_times_has_those_of_arrival(
    tmp_path: Path, fps: int, own_time: OwnTime
) -> None:
    """Bare H.264: FFmpeg takes it for 25 frames a second, whatever comes."""

    def serve(handler: BaseHTTPRequestHandler) -> None:
        out, encoder = begin(handler, "video/h264"), av.CodecContext.create("libx264", "w")
        encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = (
            *SIZE,
            "yuv420p",
            Fraction(1, 1000),
        )
        encoder.options = FAST | {"x264-params": "keyint=10:repeat-headers=1"}
        pace = own_time.pace()
        with contextlib.suppress(OSError):
            for number in range(1000):
                for packet in encoder.encode(frame(number, round(number * 1000 / fps))):
                    out.write(bytes(packet))
                out.flush()
                pace.step(handler, 1 / fps)

    before = own_time.time()
    with http_server(serve) as url:
        record(stream_job(tmp_path, f"{url}/cam.h264", stream={"duration": "5s"}))
    found = frames_of(tmp_path)
    times = np.array([r["timestamp"].timestamp() for r in found])
    steps = np.diff(times)
    assert np.median(steps) == pytest.approx(1 / fps, rel=0.2)
    assert steps[:15].min() > 0.2 / fps, (
        "what had come while the connection was opened is spread over that time"
    )
    assert times[0] - before < 0.7
    assert times[-1] - before == pytest.approx(5, abs=0.5)
    assert len(found) == pytest.approx(5 * fps, rel=0.2)


def test_sound_alone_is_no_sign_of_life(tmp_path: Path, own_time: OwnTime) -> None:
    """The picture stops after a second and a half, the sound goes on. FFmpeg's own limit is in real
    time, and too long to be reached."""
    connections = []

    def serve(handler: BaseHTTPRequestHandler) -> None:
        out, pace = begin(handler), own_time.pace()
        connections.append(handler)
        before = own_time.arrived
        with (
            contextlib.suppress(OSError, av.error.FFmpegError),
            av.open(
                Pipe(out),
                "w",
                format="mpegts",
                options={"flush_packets": "1", "max_interleave_delta": "1"},
            ) as container,
        ):
            stream, sound = video_in(container), container.add_stream("mp2", rate=48000)
            for number in itertools.count():
                if number < 15:
                    container.mux(stream.encode(frame(number, number * 100)))
                for part in range(4):
                    samples = av.AudioFrame.from_ndarray(
                        np.zeros((1, 2 * 1200), np.int16), format="s16", layout="stereo"
                    )
                    samples.sample_rate, samples.pts = 48000, number * 4800 + part * 1200
                    samples.time_base = Fraction(1, 48000)
                    container.mux(sound.encode(samples))
                if number < 14:
                    pace.step(handler, 0.1)
                else:  # once all pictures were read, there is a minute from sound to sound
                    own_time.advance(60.0 if own_time.arrived >= before + 13 else 0.01)
                    time.sleep(0.02)

    with http_server(serve) as url:
        stop = until(lambda: len(connections) >= 2 and own_time.done >= 20)
        record(stream_job(tmp_path, f"{url}/cam", stream={"timeout_s": HANG_S}), stop)
    assert len(connections) >= 2
    gap = next(g for g in gaps_of(tmp_path) if g["kind"] == "stall")
    assert f"no picture came for {HANG_S:g} s" in gap["reason"]
    # FFmpeg waits for what follows the last ones
    assert gap["start_pts_s"] == pytest.approx(1.3, abs=0.2)
    assert frames_of(tmp_path)[-1]["timestamp"] > gap["stop"]


def test_packets_that_no_frame_comes_of_are_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress
) -> None:
    """Key frames only, of a camera that has one an hour."""
    beats: list[int] = []
    monkeypatch.setattr(heartbeat, "beat", lambda: beats.append(progress.arrived))
    connections = []

    def serve(handler: BaseHTTPRequestHandler) -> None:
        out = begin(handler)
        connections.append(out)
        with (
            contextlib.suppress(OSError, av.error.FFmpegError),
            av.open(Pipe(out), "w", format="mpegts", options={"flush_packets": "1"}) as container,
        ):
            stream = video_in(container)
            stream.gop_size = 36_000
            for number in itertools.count():
                container.mux(stream.encode(frame(number, number * 100)))
                time.sleep(0.1)

    with http_server(serve) as url:
        stop = until(lambda: beats.count(1) >= 4)  # since the one frame came
        record(stream_job(tmp_path, f"{url}/cam", sampling={"keyframes": True}), stop)
    assert len(connections) == 1
    assert len(frames_of(tmp_path)) == 1
    assert beats.count(1) >= 4
