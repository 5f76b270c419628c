"""FFmpeg's way to HTTP servers: a proxy in this process. Redirects, playlists and keys may name any
host; only those that the job allows are reached, and credentials go to none but the first."""

from __future__ import annotations

import base64
import os
import re
import socket
from urllib.parse import unquote, urlsplit
from urllib.request import (  # type: ignore[attr-defined]
    getproxies_environment,
    proxy_bypass_environment,
)

from segpipe.sources.stream.pumping import Host, Listener, pump, read_head

_SECRET = re.compile(rb"(?im)^(authorization|cookie):[^\r\n]*\r\n")
_REQUEST = re.compile(rb"([A-Z]+) (\S+) (HTTP/1\.[01])")


class HttpGate:
    """Lets requests through to the host of an address, with `follow` to any. `said` is why it let
    none through, for people; `refused`, whether that was for the host's sake."""

    def __init__(self, host: str, follow: bool) -> None:
        self._named, self._follow = _plain(host), follow
        self._hosts: dict[str, Host] = {}
        self.said, self.refused = "", False
        _hide_exceptions()
        self._listener = Listener(self._serve)
        self.url = f"http://127.0.0.1:{self._listener.port}"

    def close(self) -> None:
        """End all its connections."""
        self._listener.close()

    def _serve(self, client: socket.socket) -> None:
        head, rest = read_head(client)
        method, target, host, port = _target(head)
        if not self._allows(host):
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
            return
        proxy = _proxy_of("https" if method == b"CONNECT" else "http", host)
        try:
            server = self._connected(*_place(proxy)) if proxy else self._connected(host, port)
        except OSError as error:
            self.said = f"{host}: {error.strerror or error}"
            client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
            return
        self._listener.keep(server)
        passed = _Requests(self, host, port, proxy)
        if method != b"CONNECT":
            server.sendall(passed(head + b"\r\n\r\n" + rest))
        elif proxy:
            server.sendall(b"%s %s HTTP/1.1\r\n%s\r\n" % (method, target, _proxy_head(proxy)))
            passed.blind = True
        else:
            client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            passed.blind = True
        pump(client, server, passed, lambda data: data)

    def _connected(self, host: str, port: int) -> socket.socket:
        return self._hosts.setdefault(host, Host(host)).connect(port)

    def _allows(self, host: str) -> bool:
        if self._follow or _plain(host) == self._named:
            return True
        self.refused = True
        self.said = (
            f"the server leads to another host, {host[:100]}, which is not followed; give that "
            "host's address as the input if you trust it, or set stream.follow=true"
        )
        return False

    def is_named(self, host: str) -> bool:
        """Whether it is the host of the address."""
        return _plain(host) == self._named


class _Requests:
    """FFmpeg's side of one connection: requests without bodies, each made fit for the server."""

    def __init__(self, gate: HttpGate, host: str, port: int, proxy: str) -> None:
        self._gate, self._host, self._port, self._proxy = gate, host, port, proxy
        self._begun = b""
        self.blind = False

    def __call__(self, data: bytes) -> bytes:
        if self.blind:
            return data
        self._begun += data
        out = b""
        while b"\r\n\r\n" in self._begun:
            head, _, self._begun = self._begun.partition(b"\r\n\r\n")
            out += self._passed(head)
        return out

    def _passed(self, head: bytes) -> bytes:
        method, target, host, port = _target(head)
        if (host, port) != (self._host, self._port) or method == b"CONNECT":
            raise ValueError("another host on the same connection")
        lines = head.partition(b"\r\n")[2] + b"\r\n"
        if not self._gate.is_named(host):
            lines = _SECRET.sub(b"", lines)
        if self._proxy:
            lines += _proxy_head(self._proxy)
        else:
            target = re.sub(rb"^[a-z]+://[^/?#]*", b"", target) or b"/"
            target = target if target.startswith(b"/") else b"/" + target
        return b"%s %s HTTP/1.1\r\n%s\r\n" % (method, target, lines)


def _target(head: bytes) -> tuple[bytes, bytes, str, int]:
    """Method, target, host and port of a request to a proxy. Raises ValueError."""
    found = _REQUEST.fullmatch(head.partition(b"\r\n")[0])
    if found is None:
        raise ValueError("not a request")
    method, target = found[1], found[2]
    text = target.decode("utf-8", "surrogateescape")
    parts = urlsplit(f"//{text}" if method == b"CONNECT" else text)
    if not parts.hostname:
        raise ValueError("no host")
    return method, target, parts.hostname, parts.port or (443 if method == b"CONNECT" else 80)


def _plain(host: str) -> str:
    return host.lower().strip("[]").rstrip(".")


def _proxy_of(scheme: str, host: str) -> str:
    """The proxy of this machine's environment for a host, or nothing."""
    proxies = getproxies_environment()
    if proxy_bypass_environment(host, proxies):
        return ""
    return proxies.get(scheme) or proxies.get("http") or ""


def _place(proxy: str) -> tuple[str, int]:
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    return parts.hostname or "", parts.port or 80


def _proxy_head(proxy: str) -> bytes:
    """The header that the proxy wants of us, if it wants one."""
    parts = urlsplit(proxy if "://" in proxy else f"http://{proxy}")
    if parts.username is None:
        return b""
    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
    return b"Proxy-Authorization: Basic " + base64.b64encode(pair) + b"\r\n"


def _hide_exceptions() -> None:
    """FFmpeg goes past a proxy where `no_proxy` says so. Python's libraries read the name in
    capitals as well, FFmpeg doesn't: so there it stands from now on."""
    if (exceptions := os.environ.pop("no_proxy", None)) is not None:
        os.environ["NO_PROXY"] = exceptions
