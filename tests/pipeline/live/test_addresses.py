"""Secrets that stand elsewhere in an address than before the host: they reach no text, no name and
no stored job."""

from __future__ import annotations

import os
import time
from pathlib import Path
from urllib.parse import unquote

import pytest

from segpipe.core.credentials import holds_secrets, in_environment
from segpipe.core.errors import ConfigError, SegpipeError
from segpipe.core.redact import redact
from segpipe.pipeline.live.plan import streams_of
from segpipe.sources.stream.address import stream_of
from tests.pipeline.live.recording import record, stream_job

ADDRESSES = [
    (
        "rtsp://h:554/user=admin&password=S3CRET&channel=1&stream=0.sdp?real_stream",
        "channel=1&stream=0.sdp?real_stream",
    ),
    ("rtsp://h/user=admin_password=S3CRET_channel=1_stream=0.sdp", "_channel=1_stream=0.sdp"),
    ("rtsp://h/user=admin_password=my_S3CRET_x_channel=1", "_channel=1"),
    ("https://h/live/index.m3u8#access_token=S3CRET", "/live/index.m3u8#***"),
    ("https://h/live/index.m3u8?channel=1#S3CRET", "?channel=1#***"),
    ("https://h/live;token=S3CRET%2Fx/index.m3u8", "/live;token=***/index.m3u8"),
    ("http://h/x?id=S3CRETTOKEN123&fps=5", "?id=***&fps=5"),
    ("http://h/x?channel=1;token=S3CRET", "channel=1"),
    ("http://h/live?channel=1&mail=admin@S3CRET", "channel=1&mail=***"),
]


@pytest.mark.parametrize(("url", "still"), ADDRESSES)
def test_secrets_anywhere_in_an_address(
    monkeypatch: pytest.MonkeyPatch, url: str, still: str
) -> None:
    for name in [n for n in os.environ if n.startswith("TEST_SECRET")]:
        monkeypatch.delenv(name)
    info = stream_of(url).info
    assert still in info.uri, "what is no secret is still there"
    moved = in_environment(url, "TEST_SECRET")
    for text in (info.uri, info.source_id, redact(f"can't open '{url}' today"), moved):
        assert "S3CRET" not in text
        assert "admin" not in text
    assert holds_secrets(url)
    assert not holds_secrets(moved)
    assert stream_of(moved).info.source_id == info.source_id
    assert unquote(stream_of(moved).address) == unquote(url)


@pytest.mark.parametrize(
    "url", ["rtsp://joe:S3CRET@h/live#mail=a@b", "rtsp://joe:S3CRET@h/live?mail=a@b"]
)
def test_a_second_at_sign_hides_no_password_from_us(url: str) -> None:
    assert "S3CRET" not in in_environment(url, "TEST_SECRET") + redact(url)


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://h/user=joe_password={}_channel=1",
        "http://h/a;token={}/x.m3u8",
        "http://h/x#token={}",
    ],
)
def test_another_password_in_the_path_makes_no_other_camera(url: str) -> None:
    assert stream_of(url.format("one")).info == stream_of(url.format("two")).info


def test_a_key_in_a_path_is_hidden_where_it_comes_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STREAM_KEY", "abcd-S3CRET")
    stream = stream_of("rtmp://host/live2/${STREAM_KEY}")
    assert stream.address == "rtmp://host/live2/abcd-S3CRET"
    assert stream.info.uri == "rtmp://host/live2/***"
    assert "S3CRET" not in stream.info.source_id
    assert not holds_secrets("rtmp://host/live2/${STREAM_KEY}")


@pytest.mark.parametrize(
    "text", ["rtsp:/joe:S3CRET@h/x", "rtsp:joe:S3CRET@h/x", "HTTP:/h/x?token=S3CRET"]
)
def test_a_slash_that_is_missing(tmp_path: Path, text: str) -> None:
    job = stream_job(tmp_path, text)
    with pytest.raises(ConfigError, match="two slashes come after the protocol") as caught:
        streams_of(job)
    assert "S3CRET" not in str(caught.value)
    with pytest.raises(SegpipeError) as caught_by_run:
        record(job)
    assert "S3CRET" not in str(caught_by_run.value)


def test_long_texts_are_looked_through_quickly() -> None:
    since = time.process_time()
    for url in (
        "http://h/" + "a" * 50_000,
        "http://h/" + "key=_a" * 10_000,
        "http://h/" + "key=a_" * 10_000 + "#" * 1000,
    ):
        redact(url)
    assert time.process_time() - since < 2
