"""Real servers on loopback for the tests of streams: RTSP by GStreamer, HTTP by Python."""

from __future__ import annotations

import base64
import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import av
import numpy as np
import pytest

from tests.footage import picture

if TYPE_CHECKING:
    from tests.pipeline.live.progress import Pace

SYSTEM_PYTHON = "/usr/bin/python3"
USER, PASSWORD = "joe", "s3cr3t%2Fpw"
"""As they stand in a URL: the password is s3cr3t/pw."""
PLAIN_PASSWORD = "s3cr3t/pw"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RtspServer:
    """GStreamer's RTSP server in a process of its own, to be killed and started again."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"rtsp://{USER}:{PASSWORD}@127.0.0.1:{self.port}/cam"

    def start(self) -> None:
        command = [
            SYSTEM_PYTHON,
            str(Path(__file__).with_name("rtsp_server.py")),
            str(self.port),
            USER,
            PLAIN_PASSWORD,
        ]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        if self.process.stdout.readline() != "ready\n":
            _, said = self.process.communicate(timeout=10)
            pytest.skip(
                "no RTSP server here (make test-servers installs it): "
                f"{said.strip().splitlines()[-1:]}"
            )

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None


@contextlib.contextmanager
def rtsp_server() -> Iterator[RtspServer]:
    if not Path(SYSTEM_PYTHON).exists():
        pytest.skip("no system Python for the RTSP server")
    server = RtspServer()
    server.start()
    try:
        yield server
    finally:
        server.kill()


class Camera:
    """An endless MPEG-TS by HTTP. A connection gets frames from where the last one was left.

    `fps` frames a second of media time: in real time; with `fast`, as fast as they are read; with
    `pace`, which is called for each connection, at that pace. `events` are (second, kind, seconds):
    at that second of media the connection is dropped ("drop") and the next one begins so much
    later, or the media time jumps within it ("jump"). After `stop_s` of media the server only waits
    ("silent") or ends each connection ("end").
    """

    def __init__(
        self,
        fps: float = 10,
        fast: bool = False,
        events: tuple[tuple[float, str, float], ...] = (),
        stop_s: float = float("inf"),
        then: str = "end",
        size: tuple[int, int] = (64, 48),
        pace: Callable[[], Pace] | None = None,
    ) -> None:
        self.fps, self.fast, self.events, self.stop_s, self.then, self.size = (
            fps,
            fast,
            list(events),
            stop_s,
            then,
            size,
        )
        self.pace = pace
        self.media_s, self.sent, self.connections = 0.0, 0, 0
        self.lock = threading.Lock()

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        with self.lock:  # one viewer at a time
            self.connections += 1
            if self.media_s >= self.stop_s and self.then == "end":
                handler.send_error(503)
                return
            handler.send_response(200)
            handler.send_header("Content-Type", "video/mp2t")
            handler.end_headers()
            with contextlib.suppress(OSError, av.error.FFmpegError):
                self._encode(handler)

    def _encode(self, handler: BaseHTTPRequestHandler) -> None:
        out, pace = handler.wfile, self.pace() if self.pace is not None else None
        began, first_s = time.monotonic(), self.media_s
        with av.open(Pipe(out), "w", format="mpegts", options={"flush_packets": "1"}) as container:
            stream = container.add_stream(
                "libx264",
                rate=Fraction(self.fps),
                options={"tune": "zerolatency", "preset": "ultrafast"},
            )
            stream.width, stream.height = self.size
            stream.pix_fmt, stream.gop_size = "yuv420p", max(10, round(self.fps))
            stream.codec_context.time_base = Fraction(1, 1000)
            while self.media_s < self.stop_s:
                while self.events and self.media_s >= self.events[0][0]:
                    _, kind, seconds = self.events.pop(0)
                    self.media_s += seconds
                    if kind == "drop":
                        return
                frame = av.VideoFrame.from_ndarray(picture(self.sent, *self.size), format="rgb24")
                frame.pts, frame.time_base = round(self.media_s * 1000), Fraction(1, 1000)
                container.mux(stream.encode(frame))
                self.sent += 1
                self.media_s = round(self.media_s + 1 / self.fps, 6)
                if pace is not None:
                    pace.step(handler, 1 / self.fps)
                elif not self.fast:
                    time.sleep(max(0.0, self.media_s - first_s - (time.monotonic() - began)))
            while self.then == "silent" and self.media_s >= self.stop_s and not hung_up(handler):
                time.sleep(0.05)


def hung_up(handler: BaseHTTPRequestHandler) -> bool:
    """Whether the other side has closed the connection, or the server has."""
    try:
        return handler.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


class Pipe:
    """A file that can only be written."""

    def __init__(self, out: Any) -> None:
        self.out = out

    def write(self, data: bytes) -> int:
        self.out.write(data)
        return len(data)


def serve_mjpeg(handler: BaseHTTPRequestHandler, fps: int = 10) -> None:
    """Motion JPEG as web cameras send it, without any times."""
    import cv2

    handler.send_response(200)
    handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
    handler.end_headers()
    with contextlib.suppress(OSError):
        for number in range(10_000):
            data = cv2.imencode(".jpg", picture(number))[1].tobytes()
            head = (
                f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
            ).encode()
            handler.wfile.write(head + data + b"\r\n")
            time.sleep(1 / fps)


class Playlist:
    """A live HLS playlist of one-second segments, three at first. It has one more whenever it is
    asked for again, up to segment `most`: a player asks about once a second, and one that is late
    misses nothing. `on_more` is called for each."""

    def __init__(
        self, fps: int = 10, most: int = 1_000_000, on_more: Callable[[], object] = lambda: None
    ) -> None:
        self.fps, self.most, self.on_more = fps, most, on_more
        self.last = 1

    def serve(self, handler: BaseHTTPRequestHandler) -> None:
        name = handler.path.rpartition("/")[2].partition("?")[0]
        if name.endswith(".ts"):
            body, kind = self._segment(int(name[3:-3])), "video/mp2t"
        else:
            if self.last < self.most:
                self.last += 1
                self.on_more()
            last = self.last
            lines = [
                "#EXTM3U",
                "#EXT-X-VERSION:3",
                "#EXT-X-TARGETDURATION:1",
                f"#EXT-X-MEDIA-SEQUENCE:{last - 2}",
            ]
            for number in range(last - 2, last + 1):
                lines += ["#EXTINF:1.0,", f"seg{number}.ts"]
            body, kind = ("\n".join(lines) + "\n").encode(), "application/vnd.apple.mpegurl"
        send(handler, body, kind)

    def _segment(self, number: int) -> bytes:
        import io

        out = io.BytesIO()
        with av.open(out, "w", format="mpegts") as container:
            stream = container.add_stream("libx264", rate=self.fps, options={"tune": "zerolatency"})
            stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
            for i in range(number * self.fps, (number + 1) * self.fps):
                frame = av.VideoFrame.from_ndarray(picture(i, 64, 48), format="rgb24")
                frame.pts, frame.time_base = i, Fraction(1, self.fps)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return out.getvalue()


def serve_file(path: Path) -> Callable[[BaseHTTPRequestHandler], None]:
    """A file with an end, by ranges."""

    def serve(handler: BaseHTTPRequestHandler) -> None:
        data = path.read_bytes()
        wanted = handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")
        start, stop = int(wanted[0] or 0), int(wanted[2] or len(data) - 1) + 1
        handler.send_response(206)
        handler.send_header("Content-Range", f"bytes {start}-{stop - 1}/{len(data)}")
        handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Length", str(stop - start))
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(data[start:stop])

    return serve


def send(handler: BaseHTTPRequestHandler, body: bytes, kind: str) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextlib.contextmanager
def http_server(
    serve: Callable[[BaseHTTPRequestHandler], None], password: str | None = None
) -> Iterator[str]:
    """Serve until the end of the block; gives the address, without a path. With a password, basic
    authentication."""
    expected = "Basic " + base64.b64encode(f"{USER}:{password}".encode()).decode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if password is not None and self.headers.get("Authorization") != expected:
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="cam"')
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            with contextlib.suppress(OSError):
                serve(self)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def contiguous(
    times: Any, gaps: list[dict[str, Any]], step_s: float, slack_s: float = 0.05
) -> bool:
    """Whether neighbouring frames are a step apart, or a gap says why not. `times` are seconds,
    sorted."""
    steps = np.diff(np.asarray(times, float))
    wide = np.flatnonzero(steps > step_s * 1.5 + slack_s)
    known = {round(g["start_pts_s"], 3) for g in gaps if g["start_pts_s"] is not None}
    return bool((steps > 0).all()) and all(round(float(times[i]), 3) in known for i in wide)


def make_ts(path: Path, frames: int, fps: int = 20) -> Path:
    """An MPEG-TS with an end, whose pictures are all different."""
    with av.open(str(path), "w", format="mpegts") as container:
        stream = container.add_stream(
            "libx264", rate=fps, options={"tune": "zerolatency", "preset": "ultrafast"}
        )
        stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 10
        for number in range(frames):
            container.mux(
                stream.encode(av.VideoFrame.from_ndarray(picture(number, 64, 48), format="rgb24"))
            )
        container.mux(stream.encode(None))
    return path


def serve_cut(
    path: Path, times: int, ranges: bool = True
) -> Callable[[BaseHTTPRequestHandler], None]:
    """A file with an end whose first so many connections are cut off midway. Without `ranges` each
    begins at zero."""
    left = [times]

    def serve(handler: BaseHTTPRequestHandler) -> None:
        data = path.read_bytes()
        start = (
            int(handler.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
            if ranges
            else 0
        )
        handler.send_response(206 if ranges else 200)
        if ranges:
            handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            handler.send_header("Accept-Ranges", "bytes")
        handler.send_header("Content-Length", str(len(data) - start))
        handler.end_headers()
        body = data[start:]
        if left[0] and len(body) > len(data) // 2:
            left[0] -= 1
            body = body[: len(data) * 6 // 10]
        with contextlib.suppress(OSError):
            handler.wfile.write(body)
        handler.close_connection = True

    return serve
