"""A host that can't be found: the stream waits for it, says so, and is given up after `give_up_s`
with that reason."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from segpipe.core.errors import SourceError
from segpipe.sources.stream.address import stream_of
from segpipe.sources.stream.resolving import check_host
from tests.pipeline.live.progress import OwnTime, Progress, until
from tests.pipeline.live.recording import frames_of, gaps_of, record, stream_job
from tests.pipeline.live.servers import Camera, http_server

GIVE_UP = {"give_up_s": 0.5, "backoff_s": 0.1, "max_backoff_s": 0.1}


def unknown(*_: Any, **__: Any) -> Any:
    raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://joe:S3CRET@no-such-host.invalid/cam",
        "http://no-such-host.invalid:8080/cam?token=S3CRET",
    ],
)
def test_it_is_given_up_with_that_reason_and_without_secrets(
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    own_time: OwnTime,
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(SourceError) as caught:
        record(stream_job(tmp_path, address, stream=GIVE_UP))
    assert (
        "no frame for 0.5 s, given up (stream.give_up_s); the last word was: the host "
        "no-such-host.invalid can't be found" in str(caught.value)
    )
    assert "(DNS: Name or service not known)" in str(caught.value)
    assert caught.value.transient
    assert "the host no-such-host.invalid can't be found" in caplog.text
    assert "S3CRET" not in str(caught.value) + caplog.text


def test_a_name_server_that_gives_no_answer_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_time: OwnTime
) -> None:
    over = threading.Event()

    def silent(*_: Any, **__: Any) -> None:
        while not over.wait(0.05):
            own_time.advance(1.0)

    monkeypatch.setattr(socket, "getaddrinfo", silent)
    try:
        with pytest.raises(
            SourceError, match=r"camera\.invalid can't be found \(DNS: no answer within 0\.5 s\)"
        ):
            record(stream_job(tmp_path, "rtsp://camera.invalid/cam", stream=GIVE_UP))
    finally:
        over.set()


def test_it_is_waited_for_where_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: Progress
) -> None:
    """A router that starts with the camera: found at the third try."""
    real, tries = socket.getaddrinfo, []

    def third(host: Any, *arguments: Any, **more: Any) -> Any:
        if threading.current_thread().name == "segpipe-resolve":
            tries.append(host)
            if len(tries) < 3:
                unknown()
        return real(host, *arguments, **more)

    camera = Camera(fps=10)
    with http_server(camera.serve) as url:
        monkeypatch.setattr(socket, "getaddrinfo", third)
        job = stream_job(tmp_path, f"{url}/cam", stream={"backoff_s": 0.1, "max_backoff_s": 0.1})
        record(job, until(lambda: progress.done >= 5))
    assert len(tries) >= 3
    assert len(frames_of(tmp_path)) > 0
    first = gaps_of(tmp_path)[0]
    assert (first["kind"], first["attempts"]) == ("connect", 3)


def test_who_has_no_host_or_a_proxy_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    check_host(stream_of("/dev/video0"), 1.0)
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    check_host(stream_of("http://no-such-host.invalid/cam"), 1.0)
