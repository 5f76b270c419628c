"""Footage with an end that comes by HTTP: it is recorded once, however its connection or its decoder fails."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import pytest

from segpipe import isolation
from tests.conftest import ROOT
from tests.footage import make_video
from tests.streams.recording import frames_of, gaps_of, record, stream_job
from tests.streams.servers import Camera, http_server, make_ts, send, serve_cut, serve_file


def seconds_are_even(found: list[dict[str, Any]], step_s: float) -> bool:
    times = [r["pts_s"] for r in found]
    return all(abs(t - i * step_s) < 1e-3 for i, t in enumerate(times))


def test_a_server_without_ranges_is_read_once(tmp_path: Path) -> None:
    clip = make_ts(tmp_path / "clip.ts", 100)
    with http_server(lambda handler: send(handler, clip.read_bytes(), "video/mp2t")) as url:
        report = record(stream_job(tmp_path / "out", f"{url}/clip.ts", stream={"duration": "5s"}))
    found = frames_of(tmp_path / "out")
    assert (len(found), report.broken, gaps_of(tmp_path / "out")) == (100, {}, [])
    assert {r["timestamp_source"] for r in found} == {"media"}


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_is_cut_midway_goes_on_where_it_was(tmp_path: Path, ranges: bool) -> None:
    clip = make_ts(tmp_path / "clip.ts", 200)
    with http_server(serve_cut(clip, 1, ranges)) as url:
        report = record(stream_job(tmp_path / "out", f"{url}/clip.ts", stream={"duration": "20s"}))
    found = frames_of(tmp_path / "out")
    assert len(found) == 200
    assert seconds_are_even(found, 0.05)
    assert report.broken == {}
    assert [g["kind"] for g in gaps_of(tmp_path / "out")] == ["lost"]


def test_a_connection_that_is_cut_twice_at_the_same_place_is_the_end(tmp_path: Path) -> None:
    clip = make_ts(tmp_path / "clip.ts", 200)
    with http_server(serve_cut(clip, 99, ranges=False)) as url:
        began = time.monotonic()
        report = record(stream_job(tmp_path / "out", f"{url}/clip.ts", stream={"duration": "60s"}))
    assert time.monotonic() - began < 10
    found = frames_of(tmp_path / "out")
    assert 100 < len(found) < 130
    assert seconds_are_even(found, 0.05)
    assert "twice at the same place" in next(iter(report.broken.values()))
    (gap,) = gaps_of(tmp_path / "out")
    assert (gap["kind"], gap["start"]) == ("lost", found[-1]["timestamp"])
    assert gap["duration_s"] > 0


def test_a_picture_that_crashes_the_decoder_ends_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolation.end_all()
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "sabotage"))
    monkeypatch.setenv("SABOTAGE_FRAMES", "15")
    clip = make_video(tmp_path / "clip.mp4", frames=30, fps=10)
    began = time.monotonic()
    with http_server(serve_file(clip)) as url:
        job = stream_job(tmp_path / "out", f"{url}/clip.mp4", isolate=True)
        report = record(job, stop=lambda: time.monotonic() - began > 20)
    isolation.end_all()
    found = frames_of(tmp_path / "out")
    assert (len(found), seconds_are_even(found, 0.1)) == (15, True)
    assert "twice at the same place" in next(iter(report.broken.values()))
    (gap,) = gaps_of(tmp_path / "out")
    assert (gap["kind"], gap["start"], gap["stop_pts_s"]) == ("crash", found[-1]["timestamp"], None)
    assert "SIGSEGV" in gap["reason"]


def test_a_file_that_is_recorded_again_is_as_long_as_before(tmp_path: Path) -> None:
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


def test_a_silent_stream_ends_by_the_clock_whatever_the_past(tmp_path: Path) -> None:
    clip = make_ts(tmp_path / "clip.ts", 200)
    camera = Camera(fps=10, stop_s=1.0, then="silent")
    serving = [serve_file(clip), camera.serve, lambda handler: handler.send_error(503)]
    with http_server(lambda handler: serving[0](handler)) as url:
        record(stream_job(tmp_path / "out", f"{url}/cam"))
        for frames in (1, 0):
            serving.pop(0)
            began = time.monotonic()
            report = record(stream_job(tmp_path / "out", f"{url}/cam", stream={"duration": "2s"}))
            assert time.monotonic() - began < 6
            assert (report.frames > 0) == (frames > 0)
    assert len(frames_of(tmp_path / "out")) > 200
