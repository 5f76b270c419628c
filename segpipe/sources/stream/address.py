"""Live streams by their addresses: which texts name one, what it is called, and how FFmpeg is to
open it."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit

from segpipe.core.credentials import filled
from segpipe.core.errors import ConfigError, SourceError
from segpipe.core.redact import HIDDEN, VARIABLE, identity, is_url, shown
from segpipe.core.text import printable_text
from segpipe.core.types import SourceInfo
from segpipe.sources.stream.allowed import ALLOWED, check_device

PROTOCOLS = tuple(ALLOWED)
_DEVICE = "device:"
_VIDEO_DEVICE = re.compile(r"/dev/video\d+")
_INPUT = re.compile(r"([a-z0-9_]+):(.+)", re.DOTALL)
_SLASHLESS = re.compile(rf"({'|'.join(PROTOCOLS)}):(?!//)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of a job: its public identity, and its address as it was given, secrets
    included."""

    info: SourceInfo
    address: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Opening:
    """What FFmpeg is given to open a stream."""

    file: str = field(repr=False)
    format: str | None = None
    options: dict[str, str] = field(default_factory=dict)


def is_stream(text: str) -> bool:
    """Whether an input names a stream, or tries to: a URL, `device:NAME`, `device:FORMAT:NAME` or
    `/dev/videoN`."""
    if is_url(text):
        return not text.lower().startswith("file:")
    return text.startswith(_DEVICE) or any(
        p is not None for p in (_VIDEO_DEVICE.fullmatch(text), _SLASHLESS.match(text))
    )


def stream_of(text: str) -> Stream:
    """The stream that an input names, `${NAME}` in it replaced from the environment. Raises
    ConfigError for an address that can't be one, SourceError for a protocol that isn't known."""
    # Not shown: who can say where a password ends in it?
    if (wrong := _SLASHLESS.match(text.strip())) is not None:
        raise ConfigError(
            f"{wrong[0]}...: not an address; two slashes come after the protocol, as in "
            f"{wrong[0]}//HOST:PORT/PATH"
        )
    address = _filled(text.strip())
    said = printable_text(shown(_filled(text.strip(), hide=True)))
    if is_url(address):
        protocol = address.partition("://")[0].lower()
        if protocol not in PROTOCOLS:
            raise SourceError(
                f"{said}: {protocol} is no protocol of a stream; known are {', '.join(PROTOCOLS)}"
            )
    elif not address.removeprefix(_DEVICE).strip():
        raise ConfigError(f"{said}: give a device as device:/dev/video0, or as device:FORMAT:NAME")
    else:
        check_device(*_device(address), said)
    try:
        named = f"{identity(address)} {urlsplit(address).port}"
    except ValueError:
        # A bracket that isn't closed, or no number as a port. What Python says of it may hold half
        # a password.
        raise ConfigError(
            f"{said}: not a valid address; it is PROTOCOL://USER:PASSWORD@HOST:PORT/PATH, with / "
            "? # @ of a password written as "
            "%2F %3F %23 %40"
        ) from None
    digest = hashlib.blake2b(named.encode("utf-8", "surrogateescape"), digest_size=5).hexdigest()
    # From what may be shown: a password that isn't escaped well must not become part of a name.
    place = (
        said.partition("://")[2].removeprefix(f"{HIDDEN}@").partition("?")[0]
        if "://" in said
        else said.removeprefix(_DEVICE)
    )
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", place).strip("-")[:40] or "stream"
    return Stream(SourceInfo(f"{slug}-{digest}", "stream", said), address)


def _filled(text: str, hide: bool = False) -> str:
    """The address with its variables; outside host and path they are escaped, for they may hold any
    character. With `hide`, those of the path are shown as what they are."""
    if not is_url(text):
        return text
    head, mark, rest = text.partition("://")
    user, at, place = rest.rpartition("@")
    if "/" in user:
        user, at, place = "", "", rest
    place, sign, fragment = place.partition("#")
    place, ask, query = place.partition("?")
    host, slash, path = place.partition("/")
    path = VARIABLE.sub(HIDDEN, path) if hide else filled(path, text)
    user, query, fragment = (
        VARIABLE.sub(lambda v: quote(filled(v.group(), text), safe=""), p)
        for p in (user, query, fragment)
    )
    return f"{head}{mark}{user}{at}{filled(host, text)}{slash}{path}{ask}{query}{sign}{fragment}"


def opening(address: str, transport: str) -> Opening:
    """How to open an address. A second of it must be enough: guessing the frame rate would take
    several."""
    quick = {"fpsprobesize": "0", "analyzeduration": "1000000"}
    if is_url(address):
        scheme = address.partition("://")[0].lower()
        options = quick | ALLOWED[scheme].as_options()
        if scheme in {"rtsp", "rtsps"}:
            options["rtsp_transport"] = transport
        return Opening(address, None, options)
    kind, name = _device(address)
    return Opening(name, kind)


def _device(address: str) -> tuple[str, str]:
    """FFmpeg's input device of an address, and what it is told to open."""
    name = address.removeprefix(_DEVICE)
    kind = _INPUT.fullmatch(name)
    return (kind[1], kind[2]) if kind else ("v4l2", name)
