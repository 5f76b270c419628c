"""FFmpeg's way to an RTSP server: a relay in this process, as a forwarded port. FFmpeg follows
redirects of RTSP by itself, with the credentials; behind the relay it sees none."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Callable

from segpipe.core.redact import shown
from segpipe.sources.stream.pumping import MAX_HEAD_BYTES, Host, Listener, Passed, pump

_STATUS = re.compile(rb"RTSP/[0-9.]+ +([0-9]{3})\b *(.{0,200})")
_REQUEST = re.compile(rb"[A-Z_]{1,20} \S{1,1000} RTSP/[0-9.]+")
_HEADER = re.compile(rb"([A-Za-z][A-Za-z0-9-]{0,60}):(.{0,3000})")
_MOST_BODY = 1 << 20


class RtspRelay:
    """Forwards a port of loopback to one RTSP server, with TLS where `tls`. `said` is where the
    server wanted FFmpeg to go, for people; `location` is that address."""

    def __init__(self, host: str, port: int, tls: bool) -> None:
        self._host, self._port, self._tls = Host(host), port, tls
        self.said, self.location = "", ""
        self._listener = Listener(self._serve)
        self.port = self._listener.port

    def close(self) -> None:
        """End all its connections."""
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = self._connected()
        except OSError as error:
            self.said = f"{self._host.name}: {error.strerror or error}"
            return
        self._listener.keep(server)
        answers = Answers(server.getpeername()[0], self._redirected)
        pump(client, server, _until_play(answers), answers)

    def _connected(self) -> socket.socket:
        server = self._host.connect(self._port)
        if not self._tls:
            return server
        # As FFmpeg does by itself: cameras sign their own certificates.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context.wrap_socket(server, server_hostname=self._host.name)

    def _redirected(self, location: str) -> None:
        self.location = location
        self.said = (
            f"the server leads to another address, {shown(location)[:200]}, which is not "
            "followed; give that address as the input if you trust it, or set stream.follow=true"
        )


def _until_play(answers: Answers) -> Passed:
    def passed(data: bytes) -> bytes:
        if data.startswith(b"PLAY "):
            answers.playing.set()
        return data

    return passed


class Answers:
    """A server's messages before it plays, each taken apart and put together anew: what FFmpeg
    reads is what was looked at. A redirect becomes a refusal; media over UDP come from the server
    itself."""

    def __init__(self, peer: str, redirected: Callable[[str], None]) -> None:
        self.playing = threading.Event()
        self._peer, self._redirected = peer, redirected
        self._data = b""

    def __call__(self, data: bytes) -> bytes:
        self._data += data
        out = b""
        while self._data and (message := self._next()):
            out += message
        return out

    def _next(self) -> bytes:
        """The next whole message as it is passed on; nothing where more has to come. Raises
        ValueError for what is no RTSP."""
        data = self._data
        if self.playing.is_set():
            self._data = b""
            return data
        if data.startswith(b"$"):
            size = 4 + int.from_bytes(data[2:4], "big")
            if len(data) < max(4, size):
                return b""
            self._data = data[size:]
            return data[:size]
        end = re.search(rb"\r?\n\r?\n", data)
        if end is None:
            if len(data) > MAX_HEAD_BYTES:
                raise ValueError("a head without end")
            return b""
        head, length = self._head(data[: end.start()])
        if len(data) < end.end() + length:
            return b""
        self._data = data[end.end() + length :]
        return head + data[end.end() : end.end() + length]

    def _head(self, head: bytes) -> tuple[bytes, int]:
        first, *rest = [line.replace(b"\r", b"") for line in head.split(b"\n")]
        found = [m for line in rest if (m := _HEADER.fullmatch(line))]
        fields = [(m[1], m[2].strip()) for m in found]
        named = {name.lower(): value for name, value in fields}
        lines = [self._first(first, named.get(b"location", b""))]
        length = int(named.get(b"content-length", b"0"))
        if not 0 <= length <= _MOST_BODY:
            raise ValueError("a body without end")
        for name, value in fields:
            if name.lower() == b"transport":
                value = self._transport(value)
            if name.lower() != b"content-length":
                lines.append(name + b": " + value)
        lines.append(b"Content-Length: %d" % length)
        return b"\r\n".join(lines) + b"\r\n\r\n", length

    def _first(self, line: bytes, location: bytes) -> bytes:
        status = _STATUS.fullmatch(line)
        if status is None:
            if not _REQUEST.fullmatch(line):
                raise ValueError("not a message of RTSP")
            return line
        if status[1].startswith(b"3"):
            self._redirected(location.decode("utf-8", "replace"))
            return b"RTSP/1.0 403 Redirect"
        return b"RTSP/1.0 %s %s" % (status[1], status[2])

    def _transport(self, value: bytes) -> bytes:
        """For FFmpeg the server is this machine; by UDP it has to reach the server itself."""
        if b"server_port" not in value:
            return value
        parts = [p for p in value.split(b";") if not p.strip().lower().startswith(b"source")]
        return b";".join([*parts, b"source=" + self._peer.encode()])
