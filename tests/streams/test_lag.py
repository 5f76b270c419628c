"""A model that lags: what is let go is counted, where it was, and never more than must be."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from segpipe import isolation
from segpipe.errors import ReaderFailed
from segpipe.frames import FrameFailure, FrameRef
from segpipe.live.inbox import Inbox
from segpipe.models import FakeSegmenter
from segpipe.sources.gaps import Gap
from segpipe.store.records import read_record
from segpipe.verify import verify
from tests.damage import stream_dataset
from tests.footage import make_video
from tests.streams.recording import Background, frames_of, gaps_of, record, stream_job, wait_for
from tests.streams.servers import Camera, Playlist, http_server, serve_file


class Slow(FakeSegmenter):
    """A network that takes so many seconds for a frame."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self.seconds, self.calls = seconds, 0

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        time.sleep(self.seconds)
        return super().logits(pixels)


def stopped_after(job: Any, segmenter: FakeSegmenter, seconds: float) -> float:
    """Record, stop after so long, and say how many seconds the end took."""
    over = threading.Event()
    threading.Timer(seconds, over.set).start()
    began = time.monotonic()
    record(job, over.is_set, segmenter)
    return time.monotonic() - began - seconds


def test_what_a_stop_lets_go_is_counted_and_the_next_run_begins_where_the_frames_end(tmp_path: Path) -> None:
    camera = Camera(fps=20)
    with http_server(camera.serve) as url:
        job = stream_job(tmp_path, f"{url}/cam", stream={"shard_s": 1})
        stopped_after(job, Slow(0.3), 3.0)
        first = frames_of(tmp_path)
        (lag,) = gaps_of(tmp_path)
        sent = camera.sent
        stopped_after(job, Slow(0.01), 1.5)
    for path in (tmp_path / "frames").glob("*.parquet"):  # a kill after any of these commits would be accounted for as well
        record_of, times = read_record(path), [r["timestamp"] for r in pq.read_table(path, partitioning=None).to_pylist()]
        assert not times or record_of.end_us == round(max(times).timestamp() * 1e6)
    assert lag["kind"] == "lag"
    assert sent - 6 <= len(first) + lag["frames_dropped"] <= sent
    assert lag["start"] > first[-1]["timestamp"]
    (away,) = [g for g in gaps_of(tmp_path) if g["kind"] == "not running"]
    assert away["start"] == first[-1]["timestamp"]
    assert away["stop"] >= lag["stop"]


def test_a_gap_of_lag_explains_no_hole_between_shards(tmp_path: Path) -> None:
    report = verify(stream_dataset(tmp_path / "a", [(0, 60), (100, 160)], [(60, 100, "lag", "the model couldn't keep up")]))
    (wrong,) = report.wrong
    assert "40.0 s): no shard, and no gap" in wrong.said


def test_bursts_of_hls_are_not_dropped(tmp_path: Path) -> None:
    """Three segments come at once when a player comes."""
    with http_server(Playlist(fps=30).serve) as url:
        report = record(stream_job(tmp_path, f"{url}/live/index.m3u8", stream={"duration": "4s"}), segmenter=Slow(0.005))
    assert report.streams[0].dropped == 0
    assert len(frames_of(tmp_path)) > 60


def test_the_oldest_go_first_and_only_where_they_are_too_old_or_too_many_bytes() -> None:
    inbox = Inbox(32, None, drop=True, least=2)
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
        report = record(stream_job(tmp_path / "out", f"{url}/clip.mp4", stream={"clock": "media"}), segmenter=Slow(0.015))
    assert (len(frames_of(tmp_path / "out")), report.streams[0].dropped) == (120, 0)


def test_a_time_limit_is_kept_however_much_waits(tmp_path: Path) -> None:
    began = time.monotonic()
    with http_server(Camera(fps=20).serve) as url:
        report = record(stream_job(tmp_path, f"{url}/cam", stream={"duration": "3s"}), segmenter=Slow(0.3))
    assert time.monotonic() - began < 6
    assert len(frames_of(tmp_path)) + report.streams[0].dropped > 40


def test_a_stop_waits_for_the_frames_in_work_only(tmp_path: Path) -> None:
    with http_server(Camera(fps=20).serve) as url:
        assert stopped_after(stream_job(tmp_path, f"{url}/cam"), Slow(1.5), 2.5) < 3.2
    frames = frames_of(tmp_path)
    assert 1 <= len(frames) <= 4
    assert [g["kind"] for g in gaps_of(tmp_path)] == ["lag"]


def test_a_stop_loses_nothing_where_the_model_keeps_up(tmp_path: Path) -> None:
    camera = Camera(fps=20)
    with http_server(camera.serve) as url:
        run = Background(stream_job(tmp_path, f"{url}/cam"))
        wait_for(lambda: camera.sent > 40, 8, "frames")
        report = run.stop()
    assert report.streams[0].dropped == 0
    assert gaps_of(tmp_path) == []


def test_a_reader_that_cant_be_started_for_a_moment_is_no_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = isolation.stream, []

    def stream(*arguments: Any, **settings: Any) -> Iterator[Any]:
        calls.append(1)
        if len(calls) == 2:
            raise ReaderFailed("the process that reads footage can't be started (Resource temporarily unavailable)")
        for n, item in enumerate(real(*arguments, **settings)):
            if len(calls) == 1 and n == 15:
                raise isolation.ChildLost("reading crashed (SIGSEGV)")
            yield item

    monkeypatch.setattr(isolation, "stream", stream)
    with http_server(Camera(fps=10).serve) as url:
        report = record(stream_job(tmp_path, f"{url}/cam", stream={"duration": "7s"}, isolate=True))
    assert len(calls) == 3
    assert report.streams[0].error is None
    assert [g["kind"] for g in gaps_of(tmp_path)] == ["crash"]
    times = [r["timestamp"].timestamp() for r in frames_of(tmp_path)]
    assert (np.diff(times) > 0).all()


def frame(seconds: float) -> FrameFailure:
    """A frame of the inbox; a failed one carries no pixels."""
    return FrameFailure(FrameRef(f"f{seconds}", "s", "u", None, seconds, round(seconds * 1e6) or 1, "arrival"), "broken")


def test_gaps_stay_where_frames_go() -> None:
    inbox = Inbox(32, None, drop=True, least=1)
    gap = Gap("lost", 2_000_000, 50_000_000)
    for item in (frame(1), frame(2), gap, frame(50)):
        inbox.put(item)
    lag = inbox.take_lag()
    assert lag is not None
    assert (lag.frames_dropped, lag.stop_us) == (2, 2_000_000)
    assert [inbox.get(0.1), inbox.get(0.1)] == [gap, frame(50)]
