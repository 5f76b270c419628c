"""Whether the host of an address can be found: FFmpeg says "Input/output error" where it can't, and
waits without end for a name server that gives no answer."""

from __future__ import annotations

import os
import socket
import threading
import time
from urllib.parse import urlsplit

from segpipe.core.redact import is_url
from segpipe.runtime.isolation import heartbeat
from segpipe.sources.stream.address import Stream
from segpipe.sources.stream.backoff import Lost

_POLL_S = 0.2


def check_host(stream: Stream, timeout_s: float) -> None:
    """Raises Lost where the name of a stream's host can't be resolved within `timeout_s`, with the
    host named. Devices have no host, and behind a proxy it is the proxy that resolves it."""
    host = _host_of(stream.address)
    if not host or _by_proxy(stream.address):
        return
    # Only what the public address shows: with a password that isn't escaped well, a part of it may
    # be taken for the host.
    named = f"the host {host}" if host == _host_of(stream.info.uri) else "the host of the address"
    answer: list[str] = []
    thread = threading.Thread(
        target=_resolve, args=(host, answer), name="segpipe-resolve", daemon=True
    )
    thread.start()
    until = time.monotonic() + timeout_s
    while thread.is_alive() and time.monotonic() < until:
        heartbeat()
        thread.join(_POLL_S)
    if not answer:
        raise Lost(
            "lost",
            f"{named} can't be found (DNS: no answer within {timeout_s:g} s); check the network",
        )
    if answer[0]:
        raise Lost(
            "lost", f"{named} can't be found (DNS: {answer[0]}); check the address and the network"
        )


def _resolve(host: str, answer: list[str]) -> None:
    """Put one text into `answer`: why the host can't be found, empty where it can."""
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        answer.append(error.strerror or type(error).__name__)
    except UnicodeError:
        answer.append("not a valid name")
    else:
        answer.append("")


def _host_of(address: str) -> str:
    try:
        return urlsplit(address).hostname or "" if is_url(address) else ""
    except ValueError:
        return ""


def _by_proxy(address: str) -> bool:
    """Whether FFmpeg asks a proxy for this address."""
    protocol = address.partition("://")[0].lower()
    named = {name.lower() for name in os.environ}
    return protocol in {"http", "https"} and bool(named & {"http_proxy", "https_proxy"})
