"""The way from FFmpeg to a stream: straight where nothing can lead elsewhere, else through this
process, which decides what hosts are reached (docs/streams.md)."""

from __future__ import annotations

import re
from dataclasses import replace
from urllib.parse import urlsplit

from segpipe.core.config.stream import StreamSettings
from segpipe.sources.stream.address import Opening, opening
from segpipe.sources.stream.backoff import Lost
from segpipe.sources.stream.http_gate import HttpGate
from segpipe.sources.stream.rtsp_relay import RtspRelay

_PORTS = {"rtsp": 554, "rtsps": 322}
_AUTHORITY = re.compile(r"([A-Za-z]+)://([^/?#]*)(.*)", re.DOTALL)


class Way:
    """What FFmpeg is given, and what stands between it and the server until `close`."""

    def __init__(self, address: str, settings: StreamSettings) -> None:
        self._address, self._follow = address, settings.follow
        self.opening = opening(address, settings.transport)
        self._gate: HttpGate | None = None
        self._relay: RtspRelay | None = None
        scheme = address.partition("://")[0].lower()
        if scheme in {"http", "https"}:
            self._gate = HttpGate(urlsplit(address).hostname or "", settings.follow)
            self.opening = _with(self.opening, http_proxy=self._gate.url)
        elif scheme in _PORTS:
            self._relay_to(scheme)

    def _relay_to(self, scheme: str) -> None:
        parts = urlsplit(self._address)
        self._relay = RtspRelay(
            parts.hostname or "", parts.port or _PORTS[scheme], tls=scheme == "rtsps"
        )
        mine = f"127.0.0.1:{self._relay.port}"
        here = _AUTHORITY.sub(lambda m: f"rtsp://{_user(m[2])}{mine}{m[3]}", self._address)
        self.opening = replace(self.opening, file=here)
        if scheme == "rtsps":
            self.opening = _with(self.opening, rtsp_transport="tcp")

    def close(self) -> None:
        """End the connections through this process."""
        for one in (self._gate, self._relay):
            if one is not None:
                one.close()

    def explained(self, lost: Lost, opening: bool = False) -> Lost:
        """The same, and what this process knows of it: FFmpeg takes a refusal of ours, and while
        `opening` a host that can't be reached, for the server's answer."""
        if self._gate is not None and self._gate.refused:
            return Lost(lost.kind, self._gate.said, permanent=True)
        if self._relay is not None and self._relay.location:
            return Lost(lost.kind, self._relay.said, permanent=True)
        said = next((g.said for g in (self._gate, self._relay) if g is not None and g.said), "")
        return Lost("lost", said) if said and opening else lost

    def redirected(self) -> str:
        """The address that an RTSP server gave in place of its own, where it may be followed: on
        the same host with the same credentials, with `stream.follow` on any, without them."""
        location = self._relay.location if self._relay is not None else ""
        there, here = _AUTHORITY.fullmatch(location), _AUTHORITY.fullmatch(self._address)
        if there is None or here is None or there[1].lower() not in _PORTS:
            return ""
        try:
            same = urlsplit(location).hostname == urlsplit(self._address).hostname
            secure = there[1].lower() == "rtsps" or here[1].lower() == "rtsp"
            _ = urlsplit(location).port
        except ValueError:
            return ""
        place = there[2].rpartition("@")[2]
        if same and secure:
            return f"{there[1].lower()}://{_user(here[2])}{place}{there[3]}"
        return f"{there[1].lower()}://{place}{there[3]}" if self._follow else ""


def _user(authority: str) -> str:
    """User and password of an address, up to and with the @."""
    user, at, _ = authority.rpartition("@")
    return user + at


def _with(given: Opening, **options: str) -> Opening:
    return replace(given, options=given.options | options)
