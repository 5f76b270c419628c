"""Addresses of streams: any text is a stream or an error of ours, and no text shows a secret."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from segpipe.core import redact
from segpipe.core.errors import ConfigError, SourceError, one_line
from segpipe.sources.stream.address import PROTOCOLS, Stream, is_stream, opening, stream_of

NEEDLE = "Xq7Secret9Zk"
"""A part of each secret; it occurs in nothing else."""


def streamed(address: str) -> tuple[Stream | None, str]:
    """The stream of an address, None where it was refused as `stream_of` says; and all that may be
    shown of it."""
    try:
        stream = stream_of(address)
    except (ConfigError, SourceError) as error:
        return None, one_line(error)
    opening(stream.address, "tcp")
    return stream, f"{stream!r} {stream.info.uri} {stream.info.source_id}"


_schemes = st.sampled_from([*PROTOCOLS, "RTSP", "Http"])
_hosts = st.sampled_from(["cam", "10.0.0.1", "cam.example.org:554", "[::1]", "[fe80::1]:8554"])
_paths = st.sampled_from(["", "/", "/live", "/live/1.sdp", "/a=b/c", "/Streaming/Channels/101"])
_around = st.text(max_size=6)
_secrets = st.builds(lambda a, b: f"{a}{NEEDLE}{b}", _around, _around)
_unescaped = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S"]), max_size=6)
_raw_secrets = st.builds(lambda a, b: f"{a}{NEEDLE}{b}", _unescaped, _unescaped)
_keys = st.sampled_from(["token", "password", "pwd", "sig", "auth", "k", "X-Amz-Signature", "user"])


@given(st.text(max_size=60))
def test_any_text_is_a_stream_or_an_error_of_ours(text: str) -> None:
    is_stream(text)
    redact.redact(text)
    streamed(text)


@given(_schemes, st.text(max_size=40))
def test_anything_after_a_protocol_is_a_stream_or_an_error_of_ours(scheme: str, rest: str) -> None:
    streamed(f"{scheme}://{rest}")
    streamed(f"{scheme}:{rest}")
    streamed(f"device:{scheme}:{rest}")


@given(_schemes, st.text(max_size=8), _secrets, _hosts, _paths)
def test_an_escaped_password_is_never_shown(
    scheme: str, user: str, secret: str, host: str, path: str
) -> None:
    address = f"{scheme}://{quote(user, safe='')}:{quote(secret, safe='')}@{host}{path}"
    _hidden(address)


@given(_schemes, _hosts, _paths, _keys, _secrets)
def test_a_token_in_the_query_is_never_shown(
    scheme: str, host: str, path: str, key: str, secret: str
) -> None:
    _hidden(f"{scheme}://{host}{path}?channel=1&{key}={quote(secret, safe='')}&width=640")


@given(_schemes, _hosts, st.sampled_from(["password", "token", "user"]), _secrets)
def test_a_secret_in_the_path_is_never_shown(scheme: str, host: str, key: str, secret: str) -> None:
    _hidden(f"{scheme}://{host}/live/{key}={quote(secret, safe='')}&channel=1")


@given(_schemes, st.sampled_from(["joe", "a.b"]), _raw_secrets, _hosts, _paths)
def test_a_password_that_isnt_escaped_is_never_shown_of_a_stream(
    scheme: str, user: str, secret: str, host: str, path: str
) -> None:
    assume(not _begins_a_host(secret))
    _, said = streamed(f"{scheme}://{user}:{secret}@{host}{path}")
    assert NEEDLE not in said


def _begins_a_host(secret: str) -> bool:
    """Whether an unescaped password reads as a host, or as a port with a path."""
    before = secret.partition(NEEDLE)[0]
    return "@" in before or re.match(r"\d*/", before) is not None


@pytest.mark.parametrize(
    "secret", [f"@?{NEEDLE}", f"@?{NEEDLE}=1", f"@?a=1&{NEEDLE}", f"/?{NEEDLE}"]
)
def test_what_reads_as_a_query_and_is_none_is_never_shown(secret: str) -> None:
    """Found here: passwords with an unescaped ? behind an @ or a slash."""
    address = f"rtsp://joe:{secret}@cam"
    assert NEEDLE not in streamed(address)[1]
    assert NEEDLE not in redact.redact(f"can't open {address}: lost")


def _hidden(address: str) -> None:
    """Neither the stream nor any text with the address shows the secret."""
    stream, said = streamed(address)
    assert stream is not None
    assert NEEDLE not in said
    for text in (
        address,
        f"can't open {address}: no route",
        f"'{address}', {address}.",
        f"({address})",
        f"{address},{address}",
        f"{address};next",
    ):
        shown = redact.redact(text)
        assert NEEDLE not in shown
        assert redact.redact(shown) == shown


@given(_schemes, _secrets, _secrets, _hosts, _paths)
def test_a_new_password_makes_no_other_camera(
    scheme: str, old: str, new: str, host: str, path: str
) -> None:
    found = [
        streamed(f"{scheme}://joe:{quote(secret, safe='')}@{host}{path}")[0]
        for secret in (old, new)
    ]
    assert found[0] is not None
    assert found[1] is not None
    assert found[0].info.source_id == found[1].info.source_id


@given(_schemes, st.sampled_from(["joe", "a.b"]), _raw_secrets, _hosts, _paths)
def test_a_password_that_isnt_escaped_is_never_shown_in_a_text(
    scheme: str, user: str, secret: str, host: str, path: str
) -> None:
    """As far as a text says where an address ends: not at a quotation mark or a bracket behind a
    slash."""
    assume(not _begins_a_host(secret))
    assume(not set(secret) & set(" '\"<>\\"))
    assert NEEDLE not in redact.redact(f"can't open {scheme}://{user}:{secret}@{host}{path}: lost")
