"""Footage with an end that comes by HTTP: it is recorded once, however its connection or its
decoder fails."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from segpipe.runtime import isolation
from tests.clock import HANG_S, wait_until
from tests.conftest import ROOT
from tests.footage import make_video
from tests.pipeline.live.progress import OwnTime
from tests.pipeline.live.recording import Background, frames_of, gaps_of, record, stream_job
from tests.pipeline.live.servers import Camera, http_server, make_ts, send, serve_cut, serve_file


def seconds_are_even(found: list[dict[str, Any]], step_s: float) -> bool:
    times = [r["pts_s"] for r in found]
    return all(abs(t - i * step_s) < 1e-3 for i, t in enumerate(times))


def test_a_server_without_ranges_is_read_once(tmp_path: Path, own_time: OwnTime) -> None:
    clip = make_ts(tmp_path / "clip.ts", 100)
    with http_server(lambda handler: send(handler, clip.read_bytes(), "video/mp2t")) as url:
        report = record(stream_job(tmp_path / "out", f"{url}/clip.ts", stream={"duration": "2h"}))
    found = frames_of(tmp_path / "out")
    assert (len(found), report.broken, gaps_of(tmp_path / "out")) == (100, {}, [])
    assert {r["timestamp_source"] for r in found} == {"media"}


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_is_cut_midway_goes_on_where_it_was(
    tmp_path: Path, ranges: bool, own_time: OwnTime
) -> None:
    clip = make_ts(tmp_path / "clip.ts", 200)
    with http_server(serve_cut(clip, 1, ranges)) as url:
        report = record(stream_job(tmp_path / "out", f"{url}/clip.ts", stream={"duration": "2h"}))
    found = frames_of(tmp_path / "out")
    assert len(found) == 200
    assert seconds_are_even(found, 0.05)
    assert report.broken == {}
    assert [g["kind"] for g in gaps_of(tmp_path / "out")] == ["lost"]


def test_a_connection_that_is_cut_twice_at_the_same_place_is_the_end(
    tmp_path: Path, own_time: OwnTime
) -> None:
    clip = make_ts(tmp_path / "clip.ts", 200)
    with http_server(serve_cut(clip, 99, ranges=False)) as url:
        report = record(stream_job(tmp_path / "out", f"{url}/clip.ts", stream={"duration": "2h"}))
    found = frames_of(tmp_path / "out")
    assert 100 < len(found) < 130
    assert seconds_are_even(found, 0.05)
    assert "twice at the same place" in next(iter(report.broken.values()))
    (gap,) = gaps_of(tmp_path / "out")
    assert (gap["kind"], gap["start_time"]) == ("lost", found[-1]["timestamp"])
    assert gap["duration_s"] > 0


def test_a_picture_that_crashes_the_decoder_ends_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    isolation.end_all()
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "sabotage"))
    monkeypatch.setenv("SABOTAGE_FRAMES", "15")
    clip = make_video(tmp_path / "clip.mp4", frames=30, fps=10)
    with http_server(serve_file(clip)) as url:
        report = record(stream_job(tmp_path / "out", f"{url}/clip.mp4", isolate=True))
    isolation.end_all()
    found = frames_of(tmp_path / "out")
    assert (len(found), seconds_are_even(found, 0.1)) == (15, True)
    assert "twice at the same place" in next(iter(report.broken.values()))
    # A busy machine connects late.
    (gap,) = [g for g in gaps_of(tmp_path / "out") if g["kind"] != "connect"]
    assert (gap["kind"], gap["start_time"], gap["stop_pts_s"]) == (
        "crash",
        found[-1]["timestamp"],
        None,
    )
    assert "SIGSEGV" in gap["reason"]


def test_a_file_that_is_recorded_again_is_as_long_as_before(
    tmp_path: Path, own_time: OwnTime
) -> None:
    clip = make_ts(tmp_path / "clip.ts", 200)
    with http_server(serve_file(clip)) as url:
        job = stream_job(tmp_path / "out", f"{url}/clip.ts", stream={"duration": "8s"})
        first, second = record(job), record(job)
    assert (first.frames, second.frames) == (160, 160)
    assert first.notes == ()
    assert [n for n in second.notes if "s after now" in n]
    found = frames_of(tmp_path / "out")
    assert len(found) == 320
    assert all(b["timestamp"] > a["timestamp"] for a, b in itertools.pairwise(found))
    assert {g["kind"] for g in gaps_of(tmp_path / "out")} <= {"connect"}


def eight_seconds(run: Background, own_time: OwnTime, begun_s: float) -> None:
    """Let time pass up to so many seconds after a run began, which has to end by itself."""
    while run.thread.is_alive() and own_time.monotonic() < begun_s + 8:
        own_time.advance(0.01)
        time.sleep(0.01)
    run.thread.join(HANG_S)
    assert not run.thread.is_alive(), "it ends by itself"


def test_a_silent_stream_ends_by_the_clock_whatever_the_past(
    tmp_path: Path, own_time: OwnTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run has five seconds. They pass while the camera is silent, or isn't there at all. The
    ten seconds of the file, which lie ahead of the clock, aren't waited for."""
    clip = make_ts(tmp_path / "clip.ts", 200)
    camera = Camera(fps=10, stop_s=2.0, then="silent", pace=own_time.pace)
    serving = [serve_file(clip), camera.serve, lambda handler: handler.send_error(503)]
    with http_server(lambda handler: serving[0](handler)) as url:
        record(stream_job(tmp_path / "out", f"{url}/cam"))
        serving.pop(0)
        job = stream_job(tmp_path / "out", f"{url}/cam", stream={"duration": "5s"})
        begun_s, before = own_time.monotonic(), own_time.done
        run = Background(job)
        wait_until(lambda: own_time.done >= before + 10, "frames", run.thread.is_alive)
        eight_seconds(run, own_time, begun_s)
        assert run.stop().frames >= 10
        serving.pop(0)
        # Only the test lets time pass: the reader's waits between two tries would outrun the clock.
        monkeypatch.setattr(own_time, "sleep", lambda _: time.sleep(0.001))
        begun_s = own_time.monotonic()
        run = Background(job)
        eight_seconds(run, own_time, begun_s)
        assert own_time.monotonic() >= begun_s + 5
        assert run.stop().frames == 0
    assert len(frames_of(tmp_path / "out")) > 200
