"""A model that lags: what is let go is counted, where it was, and never more than must be."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from segpipe.core.config.job import Job
from segpipe.core.errors import ReaderFailed
from segpipe.core.types import FrameFailure, FrameRef
from segpipe.inference.models import FakeSegmenter
from segpipe.pipeline.live.frame_queue import FrameQueue
from segpipe.runtime import isolation
from segpipe.sources.stream.gaps import Gap
from segpipe.store.records import read_record
from segpipe.verify import verify
from tests.clock import HANG_S, wait_until
from tests.damage import stream_dataset
from tests.footage import make_video
from tests.pipeline.live.progress import OwnTime, until
from tests.pipeline.live.recording import Background, frames_of, gaps_of, record, stream_job
from tests.pipeline.live.servers import Camera, Playlist, http_server, serve_file


class Slow(FakeSegmenter):
    """A network that takes so many seconds for a frame."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.calls = seconds, 0

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        time.sleep(self.seconds)
        return super().logits(pixels)


class Held(FakeSegmenter):
    """A network that doesn't come back from one of its calls before it is let go."""

    def __init__(self, call: int) -> None:
        super().__init__()
        self.call, self.calls = call, 0
        self.let_go = threading.Event()

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        if self.calls == self.call:
            assert self.let_go.wait(HANG_S)
        return super().logits(pixels)


def stopped_behind(job: Job, held: Held, arrived: Callable[[], bool], own_time: OwnTime) -> None:
    """Record, and stop when frames wait behind a model that comes back after the time of grace."""
    run = Background(job, held)
    wait_until(arrived, "frames that wait", run.thread.is_alive)
    run.over.set()
    own_time.advance(5.0)
    held.let_go.set()
    run.stop()


def test_what_a_stop_lets_go_is_counted_and_the_next_run_begins_where_the_frames_end(
    tmp_path: Path, own_time: OwnTime
) -> None:
    """The model hangs in the second shard."""
    held = Held(30)
    camera = Camera(
        fps=20, stop_s=5.0, then="silent", pace=lambda: own_time.pace(lambda: held.calls < 30)
    )
    with http_server(camera.serve) as url:
        job = stream_job(tmp_path, f"{url}/cam", stream={"shard_s": 1, "on_lag": "drop"})
        stopped_behind(job, held, lambda: own_time.arrived >= 90, own_time)
        first = frames_of(tmp_path)
        (lag,) = gaps_of(tmp_path)
        arrived, sent, done = own_time.arrived, camera.sent, own_time.done
        camera.stop_s = float("inf")
        record(job, until(lambda: own_time.done >= done + 20))
    # A kill after any of these commits would be accounted for as well
    for path in (tmp_path / "frames").glob("*.parquet"):
        record_of, times = (
            read_record(path),
            [r["timestamp"] for r in pq.read_table(path, partitioning=None).to_pylist()],
        )
        assert not times or record_of.end_us == round(max(times).timestamp() * 1e6)
    assert lag["kind"] == "lag"
    assert 90 <= len(first) + lag["frames_dropped"] <= arrived <= sent
    assert 29 <= len(first) <= 33
    assert lag["start_time"] > first[-1]["timestamp"]
    (away,) = [g for g in gaps_of(tmp_path) if g["kind"] == "not running"]
    assert away["start_time"] == first[-1]["timestamp"]
    assert away["stop"] >= lag["stop"]


def test_a_gap_of_lag_explains_no_hole_between_shards(tmp_path: Path) -> None:
    report = verify(
        stream_dataset(
            tmp_path / "a", [(0, 60), (100, 160)], [(60, 100, "lag", "the model couldn't keep up")]
        )
    )
    (wrong,) = report.wrong
    assert "40.0 s): no shard, and no gap" in wrong.said


def test_bursts_of_hls_are_not_dropped(tmp_path: Path, own_time: OwnTime) -> None:
    """Three segments come at once when a player comes; here they wait for the model all at once."""
    held = Held(1)
    playlist = Playlist(fps=30, most=5, on_more=lambda: own_time.advance(1.0))
    with http_server(playlist.serve) as url:
        run = Background(
            stream_job(tmp_path, f"{url}/live/index.m3u8", stream={"on_lag": "drop"}), held
        )
        wait_until(
            lambda: playlist.last == 5 and own_time.arrived >= 150,
            "the frames",
            run.thread.is_alive,
        )
        held.let_go.set()
        wait_until(lambda: own_time.done >= 130, "the frames to be segmented", run.thread.is_alive)
        report = run.stop()
    assert [g for g in gaps_of(tmp_path) if g["frames_dropped"]] == []
    assert report.streams[0].dropped == 0
    assert len(frames_of(tmp_path)) >= 150


def test_the_oldest_go_first_and_only_where_they_are_too_old_or_too_many_bytes() -> None:
    inbox = FrameQueue(32, None, drop=True, least=2)
    for n in range(300):  # thirty seconds
        inbox.put(frame(n / 10))
    lag = inbox.take_lag()
    assert lag is not None
    assert (lag.start_us, lag.frames_dropped) == (1, pytest.approx(100, abs=2))
    assert lag.stop_us < 10_100_000
    assert [inbox.get(0.1), inbox.take_lag()] == [frame(lag.frames_dropped / 10), None]


def test_a_file_waits_for_the_model_whatever_the_clock(tmp_path: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=120, fps=2)  # a minute
    with http_server(serve_file(clip)) as url:
        report = record(
            stream_job(tmp_path / "out", f"{url}/clip.mp4", stream={"clock": "media"}),
            segmenter=Slow(0.015),
        )
    assert (len(frames_of(tmp_path / "out")), report.streams[0].dropped) == (120, 0)


class Taking(FakeSegmenter):
    """A network that takes so many seconds of a test's time for a frame. It begins when something
    has come about."""

    def __init__(self, seconds: float, clock: OwnTime, begins: Callable[[], bool]) -> None:
        super().__init__()
        self.seconds, self.clock, self.begins, self.calls = seconds, clock, begins, 0

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        wait_until(self.begins, "what the model waits for")
        self.calls += 1
        self.clock.advance(self.seconds)
        return super().logits(pixels)


def test_a_time_limit_is_kept_however_much_waits(tmp_path: Path, own_time: OwnTime) -> None:
    camera = Camera(fps=20, stop_s=5.0, then="silent", pace=lambda: own_time.pace(lambda: False))
    slow = Taking(0.3, own_time, lambda: own_time.arrived >= 90)
    with http_server(camera.serve) as url:
        job = stream_job(tmp_path, f"{url}/cam", stream={"duration": "10s", "on_lag": "drop"})
        report = record(job, segmenter=slow)
    assert 15 <= slow.calls <= 27  # in five seconds, and two of grace; all that came are a hundred
    assert len(frames_of(tmp_path)) + report.streams[0].dropped >= 90


def test_a_stop_waits_for_the_frames_in_work_only(tmp_path: Path, own_time: OwnTime) -> None:
    camera = Camera(fps=20, stop_s=5.0, then="silent", pace=lambda: own_time.pace(lambda: False))
    with http_server(camera.serve) as url:
        job = stream_job(tmp_path, f"{url}/cam", stream={"on_lag": "drop"})
        stopped_behind(job, Held(1), lambda: own_time.arrived >= 50, own_time)
    frames = frames_of(tmp_path)
    assert 1 <= len(frames) <= 4
    assert [g["kind"] for g in gaps_of(tmp_path)] == ["lag"]


def test_a_stop_loses_nothing_where_the_model_keeps_up(tmp_path: Path, own_time: OwnTime) -> None:
    camera = Camera(fps=20, pace=own_time.pace)
    with http_server(camera.serve) as url:
        run = Background(stream_job(tmp_path, f"{url}/cam", stream={"on_lag": "drop"}))
        wait_until(lambda: own_time.done > 40, "frames", run.thread.is_alive)
        report = run.stop()
    assert report.streams[0].dropped == 0
    assert gaps_of(tmp_path) == []


def test_a_reader_that_cant_be_started_for_a_moment_is_no_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader crashes once it has given frames, the next one can't be started, and the one after
    that goes on."""
    real, told = isolation.stream, []

    def stream(*arguments: Any, **settings: Any) -> Iterator[Any]:
        if told == ["crashed"]:
            told.append("not started")
            raise ReaderFailed(
                "the process that reads footage can't be started (Resource temporarily unavailable)"
            )
        for n, item in enumerate(real(*arguments, **settings)):
            if not told and n >= 15:
                told.append("crashed")
                raise isolation.ChildLost("reading crashed (SIGSEGV)")
            yield item
            if len(told) >= 2:
                told.append("went on")

    monkeypatch.setattr(isolation, "stream", stream)
    with http_server(Camera(fps=10).serve) as url:
        report = record(
            stream_job(tmp_path, f"{url}/cam", isolate=True),
            stop=lambda: told.count("went on") > 15,
        )
    assert told[:3] == ["crashed", "not started", "went on"]
    assert report.streams[0].error is None
    # And whatever else a busy machine comes to.
    assert "crash" in {g["kind"] for g in gaps_of(tmp_path)}
    times = [r["timestamp"].timestamp() for r in frames_of(tmp_path)]
    assert (np.diff(times) > 0).all()


def frame(seconds: float) -> FrameFailure:
    """A frame of the inbox; a failed one carries no pixels."""
    return FrameFailure(
        FrameRef(f"f{seconds}", "s", "u", None, seconds, round(seconds * 1e6) or 1, "arrival"),
        "broken",
    )


def test_gaps_stay_where_frames_go() -> None:
    inbox = FrameQueue(32, None, drop=True, least=1)
    gap = Gap("lost", 2_000_000, 50_000_000)
    for item in (frame(1), frame(2), gap, frame(50)):
        inbox.put(item)
    lag = inbox.take_lag()
    assert lag is not None
    assert (lag.frames_dropped, lag.stop_us) == (2, 2_000_000)
    assert [inbox.get(0.1), inbox.get(0.1)] == [gap, frame(50)]
