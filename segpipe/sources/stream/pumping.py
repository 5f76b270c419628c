"""Connections on loopback that are passed on to a server: FFmpeg connects to this process, and this
process decides whom it reaches."""

from __future__ import annotations

import contextlib
import selectors
import socket
import ssl
import threading
from collections.abc import Callable

MAX_HEAD_BYTES = 1 << 16
_CHUNK = 1 << 16
_CONNECT_S = 30.0
Passed = Callable[[bytes], bytes]
"""What is passed on of what came."""


class Listener:
    """Listens on a port of loopback, and serves each connection in a thread of its own until it is
    closed."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve, self._open = serve, True
        self._lock = threading.Lock()
        self._sockets: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, name="segpipe-gate", daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._work, args=(client,), daemon=True).start()

    def _work(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError, ValueError):
            if self.keep(client):
                self._serve(client)

    def keep(self, found: socket.socket) -> bool:
        """Close this connection too when the listener is closed. Whether it is still open."""
        with self._lock:
            self._sockets = {s for s in self._sockets if s.fileno() >= 0} | {found}
        return self._open

    def close(self) -> None:
        """End everything."""
        self._open = False
        with self._lock:
            ended = [self._listener, *self._sockets]
        for one in ended:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            if one is self._listener:
                one.close()


class Host:
    """One host by the addresses that it had when it was first asked for: a name that stands for
    another machine a moment later leads nowhere else."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._lock = threading.Lock()
        self._addresses: list[str] = []

    def connect(self, port: int) -> socket.socket:
        """A connection to a port of it. Raises OSError."""
        with self._lock:
            if not self._addresses:
                found = socket.getaddrinfo(self.name, port, type=socket.SOCK_STREAM)
                self._addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        problem: OSError | None = None
        for address in self._addresses:
            try:
                made = socket.create_connection((address, port), _CONNECT_S)
            except OSError as error:
                problem = error
                continue
            made.settimeout(None)
            return made
        raise problem or OSError(f"{self.name} has no address")


def read_head(client: socket.socket, begun: bytes = b"") -> tuple[bytes, bytes]:
    """The head of a request up to its empty line, and what came after it. Raises ValueError for one
    that is too long or breaks off."""
    data = begun
    while b"\r\n\r\n" not in data:
        part = client.recv(_CHUNK)
        if not part or len(data) > MAX_HEAD_BYTES:
            raise ValueError("no whole request")
        data += part
    head, _, rest = data.partition(b"\r\n\r\n")
    return head, rest


def pump(
    client: socket.socket, server: socket.socket, to_server: Passed, to_client: Passed
) -> None:
    """Pass bytes both ways until one side ends. Raises OSError, or ValueError of what is passed."""
    ways = {client: (server, to_server), server: (client, to_client)}
    with server, selectors.DefaultSelector() as waiting:
        for source in ways:
            waiting.register(source, selectors.EVENT_READ, source)
        while True:
            # What TLS has already unpacked is not seen by the system.
            unpacked = isinstance(server, ssl.SSLSocket) and server.pending()
            ready = [server] if unpacked else [key.data for key, _ in waiting.select()]
            for source in ready:
                target, passed = ways[source]
                try:
                    data = source.recv(_CHUNK)
                except ssl.SSLWantReadError:
                    continue
                if not data:
                    return
                if out := passed(data):
                    target.sendall(out)
