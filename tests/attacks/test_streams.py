"""Streams whose servers are hostile: what they answer leads to no local file, to no other host, and
carries no credentials away. The servers are real, on 127.0.0.1 and 127.0.0.2: two hosts."""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from segpipe.core.config.job import Sampling, StreamSettings
from segpipe.core.errors import SourceError
from segpipe.core.types import Frame
from segpipe.sources.stream.address import stream_of
from segpipe.sources.stream.gaps import Past
from segpipe.sources.stream.reader import LiveRequest, live_frames
from segpipe.sources.stream.rtsp_relay import Answers

NAMED, OTHER = "127.0.0.1", "127.0.0.2"
SECRET = base64.b64encode(b"joe:s3cr3t").decode()
Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """Answers by the server's function, and notes what it was asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server: Any = self.server
        server.asked.append((self.path, dict(self.headers)))
        self.close_connection = True
        with contextlib.suppress(OSError):
            server.answer(self)

    def log_message(self, *_: Any) -> None:
        return

    def send(self, body: bytes, kind: str = "video/mp2t") -> None:
        """The whole answer."""
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def redirect(self, location: str) -> None:
        """Send the client elsewhere."""
        self.send_response(302)
        self.send_header("Location", location)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server:
    """An HTTP server; `asked` are the paths and headers of its requests."""

    def __init__(self, host: str, answer: Answer, port: int = 0) -> None:
        self.http: Any = ThreadingHTTPServer((host, port), Handler)
        self.http.daemon_threads = True
        self.http.answer, self.http.asked = answer, []
        self.asked: list[tuple[str, dict[str, str]]] = self.http.asked
        self.place = f"{host}:{self.http.server_port}"
        self.url = f"http://{self.place}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self.http.shutdown()
        self.http.server_close()


Serve = Callable[[str, Answer], Server]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[Server] = []

    def start(host: str, answer: Answer) -> Server:
        servers.append(Server(host, answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A second of MPEG-TS, ten frames."""
    path = tmp_path_factory.mktemp("video") / "secret.ts"
    with av.open(str(path), "w", format="mpegts") as out:
        stream = out.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for i in range(10):
            rgb = np.full((48, 64, 3), 20 * i, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(rgb, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def playlist(*segments: str, key: str = "") -> bytes:
    """A playlist of HLS that has an end."""
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", "#EXT-X-MEDIA-SEQUENCE:0"]
    lines += [f'#EXT-X-KEY:METHOD=AES-128,URI="{key}"'] if key else []
    for segment in segments:
        lines += ["#EXTINF:1.0,", segment]
    return "\n".join([*lines, "#EXT-X-ENDLIST", ""]).encode()


def frames_of(address: str, most: int = 5, **settings: Any) -> tuple[int, str]:
    """How many frames a stream gives, and the error at its end."""
    given = StreamSettings(
        **{"timeout_s": 5, "give_up_s": 0.5, "backoff_s": 0.05, "max_backoff_s": 0.1, **settings}
    )
    request = LiveRequest(stream_of(address), 0, Past(), given, Sampling())
    found = 0
    try:
        for item in live_frames(request):
            found += isinstance(item, Frame)
            if found >= most:
                break
    except SourceError as error:
        return found, str(error)
    return found, ""


def tcp_server(answer: bytes) -> Iterator[int]:
    """A TCP server that says the same to everybody; its port."""
    with socket.create_server((NAMED, 0)) as listener:

        def work() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    with client:
                        client.sendall(answer)

        threading.Thread(target=work, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


served = contextlib.contextmanager(tcp_server)


def test_honest_streams_work(video: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file, HLS with segments beside it, a redirect on the same host, and a bare TCP stream; also
    where the environment says that loopback needs no proxy."""
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")

    def answer(handler: Handler) -> None:
        if handler.path == "/live.m3u8":
            handler.send(playlist("a.ts"), "application/vnd.apple.mpegurl")
        elif handler.path == "/moved":
            handler.redirect("/a.ts")
        else:
            handler.send(video.read_bytes())

    server = serve(NAMED, answer)
    for path in ("/a.ts?camera=1", "/live.m3u8", "/moved"):
        assert frames_of(server.url + path) == (5, ""), path
    assert server.asked[0][0] == "/a.ts?camera=1"
    assert server.asked[0][1]["Host"] == server.place
    with served(video.read_bytes()) as port:
        assert frames_of(f"tcp://{NAMED}:{port}")[0] == 5


def test_a_proxy_of_ones_own_is_asked(
    video: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    proxy = serve(NAMED, lambda handler: handler.send(video.read_bytes()))
    monkeypatch.setenv("http_proxy", proxy.url.replace("://", "://me:mine@"))
    assert frames_of("http://camera.test/a.ts") == (5, "")
    path, headers = proxy.asked[0]
    assert path.replace(":80/", "/") == "http://camera.test/a.ts"
    assert headers["Proxy-Authorization"] == "Basic " + base64.b64encode(b"me:mine").decode()


def test_a_host_that_is_away_is_named() -> None:
    with socket.socket() as probe:
        probe.bind((NAMED, 0))
        found, said = frames_of(f"http://{NAMED}:{probe.getsockname()[1]}/cam")
    assert found == 0
    assert "Connection refused" in said


@pytest.mark.attack("a tcp:// server answers with a playlist of local files")
def test_a_playlist_by_tcp(video: Path) -> None:
    for segment in (f"file://{video}", str(video)):
        with served(playlist(segment)) as port:
            found, said = frames_of(f"tcp://{NAMED}:{port}/live.m3u8")
        assert found == 0
        assert "check the address" in said


@pytest.mark.attack("a tcp:// server answers with a script or a description of other addresses")
def test_formats_that_name_others(video: Path, serve: Serve) -> None:
    other = serve(OTHER, lambda handler: handler.send(video.read_bytes()))
    sdp = (
        b"v=0\no=- 0 0 IN IP4 127.0.0.2\ns=x\nc=IN IP4 127.0.0.2\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    )
    for answer in (
        b"ffconcat version 1.0\nfile '" + str(video).encode() + b"'\n",
        playlist(other.url + "/a.ts"),
        sdp,
    ):
        with served(answer) as port:
            found, said = frames_of(f"tcp://{NAMED}:{port}/live.m3u8")
        assert found == 0
        assert "check the address" in said
    assert other.asked == []


@pytest.mark.attack("a playlist over HTTP names local files")
def test_local_files_by_http(video: Path, serve: Serve) -> None:
    names = (f"file://{video}", str(video), f"concat:{video}", f"crypto:{video}", "data:,x")
    for name in names:
        server = serve(NAMED, lambda h, n=name: h.send(playlist(n), "application/x-mpegurl"))  # type: ignore[misc]
        assert frames_of(f"{server.url}/live.m3u8")[0] == 0, name


@pytest.mark.attack("an HTTP server redirects to another host")
def test_a_redirect(video: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.2,127.0.0.1")
    other = serve(OTHER, lambda handler: handler.send(video.read_bytes()))
    server = serve(NAMED, lambda handler: handler.redirect(f"{other.url}/a.ts"))
    address = server.url.replace("://", "://joe:s3cr3t@")
    found, said = frames_of(f"{address}/cam")
    assert (found, other.asked) == (0, [])
    assert f"leads to another host, {OTHER}" in said
    assert "stream.follow=true" in said
    assert "s3cr3t" not in said
    assert "\n" not in said
    assert frames_of(f"{address}/cam", follow=True) == (5, "")
    assert len(other.asked) >= 1
    assert SECRET not in str(other.asked)


@pytest.mark.attack("a playlist's segments, keys or playlists lie on another host")
def test_segments(video: Path, serve: Serve) -> None:
    other = serve(OTHER, lambda handler: handler.send(video.read_bytes()))
    away = f"{other.url}/a.ts"
    variant = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{away}.m3u8\n".encode()
    for content in (
        playlist(away),
        playlist(f"//{other.place}/a.ts"),
        playlist("a.ts", key=f"{other.url}/key"),
        variant,
    ):

        def answer(handler: Handler, content: bytes = content) -> None:
            given = content if handler.path == "/live.m3u8" else video.read_bytes()
            handler.send(given, "application/vnd.apple.mpegurl")

        server = serve(NAMED, answer)
        address = server.url.replace("://", "://joe:s3cr3t@") + "/live.m3u8"
        found, said = frames_of(address)
        assert (found, other.asked) == (0, [])
        assert f"leads to another host, {OTHER}" in said

    server = serve(NAMED, lambda h: h.send(playlist(away), "application/vnd.apple.mpegurl"))
    address = server.url.replace("://", "://joe:s3cr3t@") + "/live.m3u8"
    assert frames_of(address, follow=True)[0] == 5
    assert len(other.asked) >= 1
    assert SECRET not in str(other.asked)


@pytest.mark.attack("a segment is redirected to another host")
def test_a_redirected_segment(video: Path, serve: Serve) -> None:
    other = serve(OTHER, lambda handler: handler.send(video.read_bytes()))

    def answer(handler: Handler) -> None:
        if handler.path == "/live.m3u8":
            handler.send(playlist("a.ts"), "application/vnd.apple.mpegurl")
        else:
            handler.redirect(f"{other.url}/a.ts")

    server = serve(NAMED, answer)
    assert frames_of(f"{server.url}/live.m3u8")[0] == 0
    assert other.asked == []


@pytest.mark.attack("a host's name stands for another machine at the second look")
def test_a_name_that_changes(video: Path, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(handler: Handler) -> None:
        if handler.path == "/a.ts":
            handler.send(video.read_bytes())
        else:
            handler.redirect(f"http://camera.test:{port}/a.ts")

    port = serve(NAMED, answer).http.server_port
    other = Server(OTHER, answer, port)
    looks = itertools.count()
    real = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        if host != "camera.test":
            return real(host, *rest, **more)
        # The first look is that for the message about hosts that don't exist.
        return real(NAMED if next(looks) < 2 else OTHER, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    try:
        found = frames_of(f"http://camera.test:{port}/cam")
    finally:
        other.close()
    assert (found, other.asked) == ((5, ""), [])


class RtspServer:
    """Answers every request of RTSP with the same status and headers; `asked` is what came."""

    def __init__(self, host: str, answer: str) -> None:
        self.asked: list[str] = []
        self.answer = answer
        self.listener = socket.create_server((host, 0))
        self.place = f"{host}:{self.listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._work, args=(client,), daemon=True).start()

    def _work(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            while data := client.recv(65536):
                for request in data.decode().split("\r\n\r\n")[:-1]:
                    self.asked.append(request)
                    number = re.search(r"CSeq: (\d+)", request)
                    assert number is not None
                    if request.startswith("OPTIONS"):
                        said = "RTSP/1.0 200 OK\r\nPublic: DESCRIBE, SETUP, PLAY"
                    else:
                        said = self.answer
                    client.sendall(f"{said}\r\nCSeq: {number[1]}\r\n\r\n".encode())

    def close(self) -> None:
        """Stop serving."""
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


@pytest.mark.attack("an RTSP server redirects to another host, with the user's password")
@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_redirect_of_rtsp(transport: str) -> None:
    other = RtspServer(OTHER, "RTSP/1.0 404 Not Found")
    moved = RtspServer(NAMED, f"RTSP/1.0 302 Moved\r\nLo\rcation: rtsp://x@{other.place}/cam")
    plain = RtspServer(NAMED, f"RTSP/1.0 302 Moved\r\nLocation: rtsp://{other.place}/cam")
    try:
        for server in (moved, plain):
            address = f"rtsp://joe:s3cr3t@{server.place}/cam"
            found, said = frames_of(address, transport=transport)
            assert (found, other.asked) == (0, [])
            assert "leads to another address" in said
            assert "s3cr3t" not in said
        frames_of(address, transport=transport, follow=True)
        assert len(other.asked) >= 1
        assert not any("Authorization" in a or "s3cr3t" in a for a in other.asked)
    finally:
        for one in (other, moved, plain):
            one.close()


def test_a_redirect_of_rtsp_on_the_same_host_is_followed() -> None:
    there = RtspServer(NAMED, 'RTSP/1.0 401 Unauthorized\r\nWWW-Authenticate: Basic realm="cam"')
    server = RtspServer(NAMED, f"RTSP/1.0 302 Moved\r\nLocation: rtsp://{there.place}/cam")
    try:
        _, said = frames_of(f"rtsp://joe:s3cr3t@{server.place}/cam")
        assert "refuses access (401)" in said
        assert any(SECRET in request for request in there.asked)
    finally:
        there.close()
        server.close()


@pytest.mark.attack("an RTSP server hides a redirect from who looks for one")
def test_answers_of_rtsp_are_put_together_anew() -> None:
    """Byte by byte, as an attacker would cut them."""
    redirects: list[str] = []

    def passed(*sent: bytes) -> bytes:
        answers = Answers("10.0.0.7", redirects.append)
        whole = b"".join(sent)
        return b"".join(answers(whole[i : i + 1]) for i in range(len(whole)))

    hidden = b"RTSP/1.0 200 OK\r\nX: y\n$\0\0\x04RTSP\nContent-Length: 3\r\n\r\nabc"
    assert passed(hidden) == b"RTSP/1.0 200 OK\r\nX: y\r\nContent-Length: 3\r\n\r\nabc"
    moved = b"RTSP/1.0 \r302 Moved\r\nLoca\rtion: rtsp://10.0.0.9/\r\n\r\n"
    assert passed(moved).startswith(b"RTSP/1.0 403 Redirect\r\n")
    assert redirects == ["rtsp://10.0.0.9/"]
    packet = b"$\0\0\x13\nRTSP/1.0 302 Moved"[:23]
    setup = (
        b"RTSP/1.0 200 OK\r\nTransport: RTP/AVP;unicast;source=10.9.9.9;client_port=1-2;"
        b"server_port=3-4\r\n\r\n"
    )
    assert passed(packet, setup).startswith(packet)
    assert b"client_port=1-2;server_port=3-4;source=10.0.0.7\r\n" in passed(setup)
    for wrong in (b"HTTP/1.1 302 Moved\r\nLocation: x\r\n\r\n", b"\n\nRTSP/1.0 302 Moved\r\n\r\n"):
        with pytest.raises(ValueError, match="not a message of RTSP"):
            passed(wrong)


@pytest.mark.attack("a device of a job is a script of FFmpeg that reads or writes files")
def test_devices(tmp_path: Path, video: Path) -> None:
    written = tmp_path / "written"
    for device in (
        f"concat:{video}",
        f"hls:{video}",
        "hls:http://127.0.0.1/x",
        f"lavfi:movie={video}",
        f"lavfi:testsrc2,metadata=mode=print:file={written}",
        f"lavfi:testsrc2,drawtext=textfile={video}",
        "lavfi:testsrc2[a];[a]copy",
    ):
        with pytest.raises(SourceError, match="allowed are"):
            stream_of(f"device:{device}")
    assert not os.path.exists(written)
    assert stream_of("device:lavfi:testsrc2=size=64x48:rate=10,realtime").info.kind == "stream"
    assert stream_of("/dev/video0").info.kind == "stream"
    assert stream_of("rtsp://192.168.1.7/live").info.kind == "stream"
