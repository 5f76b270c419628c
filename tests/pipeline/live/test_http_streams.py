"""Streams by HTTP, HLS and from devices: what comes, when, what is missing, and when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import torch

from segpipe import open_dataset
from segpipe.core.errors import ConfigError, SourceError
from segpipe.inference.models import FakeSegmenter
from tests.clock import wait_until
from tests.footage import make_video
from tests.pipeline.live.progress import OwnTime, Progress, until
from tests.pipeline.live.recording import (
    Background,
    committed,
    frames_of,
    gaps_of,
    record,
    stream_job,
)
from tests.pipeline.live.servers import (
    PASSWORD,
    PLAIN_PASSWORD,
    USER,
    Camera,
    Playlist,
    contiguous,
    http_server,
    send,
    serve_file,
    serve_mjpeg,
)


class SlowSegmenter(FakeSegmenter):
    """A network that can't keep up."""

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        time.sleep(0.02)
        return super().logits(pixels)


class HeldSegmenter(SlowSegmenter):
    """The same, and it doesn't begin before something has come about."""

    def __init__(self, begins: Callable[[], bool]) -> None:
        super().__init__()
        self.begins = begins

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        wait_until(self.begins, "what the model waits for")
        return super().logits(pixels)


def test_a_stream_in_rolling_shards_with_the_time_of_arrival(
    tmp_path: Path, own_time: OwnTime
) -> None:
    begin = own_time.now()
    camera = Camera(fps=10, pace=own_time.pace)
    with http_server(camera.serve) as url:
        report = record(
            stream_job(tmp_path, f"{url}/cam", stream={"duration": "5s", "shard_s": 0.8})
        )
    found = frames_of(tmp_path)
    assert report.frames == len(found) > 25
    assert committed(tmp_path) >= 3
    assert found[0]["pts_s"] == 0.0
    assert found[0]["frame_index"] is None
    assert contiguous([r["pts_s"] for r in found], gaps_of(tmp_path), 0.1)
    assert begin <= found[0]["timestamp"]
    assert found[-1]["timestamp"] <= own_time.now() + timedelta(seconds=0.2)
    assert {r["timestamp_source"] for r in found} == {"arrival"}
    seconds = (found[-1]["timestamp"] - found[0]["timestamp"]).total_seconds()
    assert seconds == pytest.approx(found[-1]["pts_s"], abs=1e-3)
    assert all(g["kind"] in {"connect"} for g in gaps_of(tmp_path))


def test_connections_that_drop_and_clocks_that_jump(tmp_path: Path, own_time: OwnTime) -> None:
    """Half an hour of media as fast as it is read: nothing is missing but what the gaps say."""
    events = ((300.0, "drop", 120.0), (900.0, "jump", 60.0), (1200.0, "drop", 30.0))
    camera = Camera(fps=1, fast=True, events=events, stop_s=1800.0)
    stream = {
        "clock": "media",
        "on_lag": "block",
        "shard_s": 300,
        "give_up_s": 1,
        "backoff_s": 0.05,
    }
    with http_server(camera.serve) as url:
        report = record(stream_job(tmp_path, f"{url}/cam", stream=stream))
    found, gaps = frames_of(tmp_path), gaps_of(tmp_path)
    assert camera.sent == len(found) == 1800 - 120 - 60 - 30
    assert [(g["kind"], round(g["duration_s"])) for g in gaps[:3]] == [
        ("lost", 121),
        ("jump", 61),
        ("lost", 31),
    ]
    assert [round(r["pts_s"], 3) for r in found] == [
        t for t in range(1800) if not any(a <= t < a + s for a, _, s in events)
    ]
    assert {r["timestamp_source"] for r in found} == {"media"}
    assert list(report.broken.values()) == [pytest.approx(next(iter(report.broken.values())))]
    assert "no frame for 1 s" in next(iter(report.broken.values()))
    assert report.streams[0].reconnects == 2


@pytest.mark.parametrize("on_lag", ["drop", "block"])
def test_a_model_that_cant_keep_up(tmp_path: Path, on_lag: str, own_time: OwnTime) -> None:
    """It begins when all frames came, or as many as can be read before the reader has to wait."""
    camera = Camera(fps=2, fast=True, stop_s=40.0)
    stream = {"on_lag": on_lag, "clock": "media", "give_up_s": 0.5}
    held = HeldSegmenter(lambda: own_time.arrived >= (80 if on_lag == "drop" else 30))
    with http_server(camera.serve) as url:
        report = record(stream_job(tmp_path, f"{url}/cam", stream=stream), segmenter=held)
    found, lag = frames_of(tmp_path), [g for g in gaps_of(tmp_path) if g["kind"] == "lag"]
    assert camera.sent == 80
    if on_lag == "block":
        assert (len(found), lag, report.streams[0].dropped) == (80, [], 0)
    else:
        assert 20 < len(found) < 80
        assert len(found) + sum(g["frames_dropped"] for g in lag) == 80
        assert report.streams[0].dropped == 80 - len(found)


def test_a_shard_is_committed_while_the_camera_is_silent(tmp_path: Path, own_time: OwnTime) -> None:
    """No frame comes when the shard is due, after eight seconds."""
    camera = Camera(fps=10, stop_s=2.0, then="silent", pace=own_time.pace)
    with http_server(camera.serve) as url:
        run = Background(stream_job(tmp_path, f"{url}/cam", stream={"shard_s": 8}))
        wait_until(
            lambda: camera.media_s >= camera.stop_s,
            "the camera to fall silent",
            run.thread.is_alive,
        )
        # FFmpeg keeps the last two. One that came later would be the last frame, ten seconds later.
        wait_until(
            lambda: own_time.arrived >= 18 and own_time.done >= 10,
            "the frames",
            run.thread.is_alive,
        )
        run.looked_on()
        assert committed(tmp_path) == 0
        own_time.advance(10.0)
        wait_until(
            lambda: committed(tmp_path) == 1, "the shard of a silent camera", run.thread.is_alive
        )
        run.looked_on()
        run.stop()
    assert len(frames_of(tmp_path)) >= 10
    (gap,) = [g for g in gaps_of(tmp_path) if g["kind"] == "stall"]
    assert gap["start_time"] == frames_of(tmp_path)[-1]["timestamp"]
    assert gap["duration_s"] > 1


def test_a_silent_camera_is_connected_anew(tmp_path: Path, own_time: OwnTime) -> None:
    """The limit is FFmpeg's, in real time: on a busy machine the camera may reach it before it is
    silent, and is connected anew then as well."""
    camera = Camera(fps=10, stop_s=3.0, then="silent", pace=own_time.pace)
    with http_server(camera.serve) as url:
        run = Background(stream_job(tmp_path, f"{url}/cam", stream={"timeout_s": 1.0}))
        wait_until(
            lambda: own_time.done > 0 and camera.media_s >= camera.stop_s,
            "the frames",
            run.thread.is_alive,
        )
        connections = camera.connections
        wait_until(
            lambda: camera.connections > connections + 1,
            "one connection after another",
            run.thread.is_alive,
        )
        own_time.advance(2.0)
        run.stop()
    stalls = [g for g in gaps_of(tmp_path) if g["kind"] == "stall"]
    assert stalls
    assert stalls[-1]["stop_pts_s"] is None, "it lasts"
    assert all("nothing came for 1 s" in g["reason"] and g["attempts"] >= 1 for g in stalls)


def test_streams_of_every_kind_at_once(tmp_path: Path, progress: Progress) -> None:
    """HLS, whose segments come in bursts; Motion JPEG, which has no times; MPEG-TS; a device of
    FFmpeg's."""
    device, begin = "device:lavfi:testsrc2=size=64x48:rate=10,realtime", datetime.now(UTC)
    with (
        http_server(Playlist().serve) as hls,
        http_server(serve_mjpeg) as mjpeg,
        http_server(Camera(fps=5).serve) as ts,
    ):
        urls = (f"{hls}/live/index.m3u8", f"{mjpeg}/video", f"{ts}/cam", device)
        stop = until(lambda: sum(n > 20 for n in progress.segmented.values()) == 4)
        report = record(stream_job(tmp_path, *urls), stop)
    assert [r.error for r in report.streams] == [None] * 4
    found = frames_of(tmp_path)
    by_source = {
        r.source_id: [f for f in found if f["source_id"] == r.source_id] for r in report.streams
    }
    for (source_id, frames), step_s in zip(by_source.items(), (0.1, None, 0.2, 0.1), strict=True):
        times, gaps = (
            [f["pts_s"] for f in frames],
            [g for g in gaps_of(tmp_path) if g["source_id"] == source_id],
        )
        assert len(frames) > 20, source_id
        if step_s is None:  # they have the time of their arrival, whenever that was
            assert (np.diff(times) > 0).all(), source_id
            assert (
                begin <= frames[0]["timestamp"] <= frames[-1]["timestamp"] <= datetime.now(UTC)
            ), source_id
        else:
            assert contiguous(times, gaps, step_s, slack_s=0.15), source_id
            assert np.median(np.diff(times)) == pytest.approx(step_s, rel=0.3), source_id


def test_a_file_by_http_ends_at_its_end(tmp_path: Path, own_time: OwnTime) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=60, fps=20)
    with http_server(serve_file(clip), PLAIN_PASSWORD) as url:
        url = url.replace("//", f"//{USER}:{PASSWORD}@")
        report = record(stream_job(tmp_path / "out", f"{url}/clip.mp4"), segmenter=SlowSegmenter())
    found = frames_of(tmp_path / "out")
    assert len(found) == 60  # a file waits for the model, whatever on_lag says
    assert np.allclose(np.diff([r["pts_s"] for r in found]), 0.05, atol=1e-4)
    assert (report.broken, gaps_of(tmp_path / "out")) == ({}, [])


def test_sampling(tmp_path: Path, own_time: OwnTime) -> None:
    for name, sampling, step_s in (
        ("rate", {"per_second": 2}, 0.5),
        ("nth", {"every_n": 3}, 0.3),
        ("key", {"keyframes": True}, 1.0),
    ):
        camera = Camera(fps=10, fast=True, stop_s=6.0)
        stream = {"clock": "media", "on_lag": "block", "give_up_s": 0.3}
        with http_server(camera.serve) as url:
            record(stream_job(tmp_path / name, f"{url}/cam", stream=stream, sampling=sampling))
        times = [r["pts_s"] for r in frames_of(tmp_path / name)]
        assert np.allclose(np.diff(times), step_s, atol=1e-3), name
        assert len(times) == pytest.approx(6 / step_s, abs=1)


def test_a_run_after_another_says_what_lies_between(tmp_path: Path, own_time: OwnTime) -> None:
    camera = Camera(fps=10, pace=own_time.pace)
    with http_server(camera.serve) as url:
        job = stream_job(tmp_path, f"{url}/cam", stream={"duration": "5s"})
        record(job)
        last = frames_of(tmp_path)[-1]["timestamp"]
        own_time.advance(2.0)
        record(job)
    (gap,) = [g for g in gaps_of(tmp_path) if g["kind"] == "not running"]
    assert gap["start_time"] == last
    assert 2 <= gap["duration_s"] < 4
    found = frames_of(tmp_path)
    assert found[-1]["timestamp"] > gap["stop"]
    for row in found:  # seconds go on from run to run
        assert (row["timestamp"] - found[0]["timestamp"]).total_seconds() == pytest.approx(
            row["pts_s"], abs=1e-3
        )
    assert contiguous([r["pts_s"] for r in found], gaps_of(tmp_path), 0.1, slack_s=1.2)
    (source,) = open_dataset(tmp_path).arrow("sources").to_pylist()
    assert (source["kind"], source["start_time"]) == ("stream", found[0]["timestamp"])


def test_until(tmp_path: Path, own_time: OwnTime) -> None:
    end = own_time.now() + timedelta(seconds=6)
    with http_server(Camera(fps=10, pace=own_time.pace).serve) as url:
        record(stream_job(tmp_path, f"{url}/cam", stream={"until": end.isoformat()}))
    assert own_time.now() < end + timedelta(seconds=2)
    assert end - timedelta(seconds=1) < frames_of(tmp_path)[-1]["timestamp"] < end


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("/dev/video97", "there is no such device"),
        ("device:/dev/video97", "there is no such device"),
        ("gopher://127.0.0.1/x", "no protocol of a stream; known are rtsp"),
    ],
)
def test_what_cant_be_opened_ends_the_run_at_once(tmp_path: Path, url: str, says: str) -> None:
    with pytest.raises(SourceError, match=says):
        record(stream_job(tmp_path, url))
    assert not (tmp_path / "frames").is_dir() or committed(tmp_path) == 0


@pytest.mark.parametrize(("code", "says"), [(403, "403"), (404, "404")])
def test_a_refusal_at_the_first_connection_ends_the_run(
    tmp_path: Path, code: int, says: str
) -> None:
    with (
        http_server(lambda handler: handler.send_error(code)) as url,
        pytest.raises(SourceError, match=says),
    ):
        record(stream_job(tmp_path, f"{url}/cam"))


def test_what_is_no_video_ends_the_run(tmp_path: Path) -> None:
    page = b"<html>no camera here</html>" * 1000
    with (
        http_server(lambda handler: send(handler, page, "text/html")) as url,
        pytest.raises(SourceError, match="is no video"),
    ):
        record(stream_job(tmp_path, f"{url}/cam"))
    with pytest.raises(SourceError, match="no input device of this name"):
        record(stream_job(tmp_path, "device:nosuchformat:0"))


def test_a_server_that_is_away_is_waited_for_as_long_as_wanted(
    tmp_path: Path, own_time: OwnTime
) -> None:
    with pytest.raises(SourceError, match=r"no frame for 1 s.*[Cc]onnection refused"):
        record(stream_job(tmp_path, "http://127.0.0.1:1/cam", stream={"give_up_s": 1}))
    (gap,) = gaps_of(tmp_path)
    assert gap["kind"] == "connect"
    assert gap["attempts"] >= 2
    assert gap["duration_s"] == pytest.approx(1, abs=0.5)


@pytest.mark.parametrize(
    ("inputs", "other", "says"),
    [
        (["rtsp://a/1", "clip.mp4"], {}, "run the files apart"),
        (["rtsp://a/1", "rtsp://u:p@a/1"], {}, "named twice"),
        (["rtsp://a/1"], {"sampling": {"every_m": 5}}, "every_m needs a track"),
        (["rtsp://a/1"], {"stream": {"until": "2020-01-01T00:00:00Z"}}, "has passed"),
        (["rtsp://a:x/1"], {}, "not a valid address"),
    ],
)
def test_what_a_job_with_streams_cant_be(
    tmp_path: Path, inputs: list[str], other: dict[str, object], says: str
) -> None:
    with pytest.raises((ConfigError, SourceError), match=says):
        record(stream_job(tmp_path, *inputs, **other))
