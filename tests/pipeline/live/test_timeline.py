"""One line of time out of connections whose clocks begin anew, jump and drift; how long to wait;
when a frame is wanted."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from pathlib import Path

import pytest

from segpipe.core.config.job import Sampling
from segpipe.core.credentials import holds_secrets, in_environment
from segpipe.core.redact import shown
from segpipe.sources.stream.address import is_stream, stream_of
from segpipe.sources.stream.backoff import BackOff
from segpipe.sources.stream.gaps import Moment, Past
from segpipe.sources.stream.sampling import LiveSampler
from segpipe.sources.stream.timeline import Timeline
from tests.clock import wait_until
from tests.pipeline.live.recording import (
    Background,
    committed_frames,
    committed_gaps,
    frames_of,
    gaps_of,
    stream_job,
)
from tests.pipeline.live.servers import Camera, http_server

NOW = 1_790_000_000_000_000


def run(line: Timeline, media_s: list[float], arrival_s: list[float]) -> list[Moment]:
    found = [line.place(m, NOW + round(a * 1e6)) for m, a in zip(media_s, arrival_s, strict=True)]
    return [m for m in found if m is not None]


def started(media_s: float = 50.0, count: int = 10) -> Timeline:
    """Ten frames a second, from 0 s on, whatever the camera's own time."""
    line = Timeline(NOW)
    line.connected(media_s, NOW)
    times = [i / 10 for i in range(count)]
    found = run(line, [media_s + t for t in times], times)
    assert [round(m.pts_s, 6) for m in found] == times
    assert [m.utc_us for m in found] == [NOW + round(t * 1e6) for t in times]
    assert not any(m.gap for m in found)
    return line


def test_a_second_connection_goes_on_by_the_clock() -> None:
    line = started()
    line.lost("lost", "gone", NOW + 1_500_000)
    gap = line.lost("lost", "still gone", NOW + 4_000_000, attempts=2)
    assert (gap.closed, gap.start_us, gap.stop_us) == (False, NOW + 900_000, NOW + 4_000_000)
    line.connected(0.0, NOW + 5_000_000, attempts=3)
    (moment,) = run(line, [0.0], [5.2])
    assert (round(moment.pts_s, 6), moment.utc_us) == (5.0, NOW + 5_000_000)
    assert moment.gap is not None
    assert (moment.gap.kind, moment.gap.attempts, moment.gap.closed, moment.gap.reason) == (
        "lost",
        3,
        True,
        "still gone",
    )
    assert (moment.gap.start_us, moment.gap.stop_us) == (NOW + 900_000, NOW + 5_000_000)


def test_time_that_goes_back_goes_on() -> None:
    line = started(media_s=5000.0)
    found = run(line, [3.0, 3.1], [1.0, 1.1])
    assert [round(m.pts_s, 6) for m in found] == [1.0, 1.1]
    assert not any(m.gap for m in found)


def test_a_packet_that_cant_be_decoded_moves_nothing() -> None:
    """Its time may be ahead of pictures that are shown before it, or anything at all."""
    line = started()
    for media_s in (51.3, 3.0, 9000.0):
        failure = line.place(media_s, NOW + 1_000_000, failed=True)
        assert failure is not None
        assert 0.9 < failure.pts_s < 1.4
    found = run(line, [51.0, 51.1, 51.2, 51.4, 51.5], [1.0, 1.1, 1.2, 1.4, 1.5])
    assert [m.pts_s for m in found] == pytest.approx([1.3, 1.3, 1.3, 1.4, 1.5], abs=1e-4)
    assert line.mark.media_s == 51.5
    assert not any(m.gap for m in found)


def test_time_that_jumps_ahead_of_the_clock_is_not_believed_and_a_pause_is() -> None:
    line = started(media_s=0.0)
    (jump,) = run(line, [3600.9], [1.0])
    assert (round(jump.pts_s, 6), jump.gap) == (1.0, None)
    (pause,) = run(line, [3605.9], [6.0])
    assert round(pause.pts_s, 6) == 6.0
    assert pause.gap is not None
    assert (pause.gap.kind, pause.gap.stop_us - pause.gap.start_us) == ("stall", 5_000_000)


def test_a_clock_that_drifts_is_set_anew() -> None:
    """The camera's seconds are 5 % too long: its time falls behind the clock, and is never further
    behind than a drift."""
    line = started()
    times = [1 + i / 10 for i in range(3000)]
    found = run(line, [50.0 + t / 1.05 for t in times], times)
    late = [NOW + t * 1e6 - m.utc_us for t, m in zip(times, found, strict=True)]
    assert max(late) < 5e6
    assert min(late) > -1e6
    assert all(b.utc_us > a.utc_us for a, b in itertools.pairwise(found))


def test_pictures_that_the_dataset_has_are_passed_over() -> None:
    line = Timeline(NOW, Past(NOW - 1_000_000, NOW - 2_000_000, 100.0))
    line.connected(0.0, NOW - 3_000_000)
    found = run(line, [0.0, 1.0, 2.0, 2.5, 3.0], [0.1] * 5)
    assert [m.utc_us - NOW for m in found] == [-500_000, 0]
    # They go on from the run before
    assert [m.pts_s for m in found] == pytest.approx([101.5, 102.0])


def test_slow_cameras_have_no_gap_at_each_frame() -> None:
    line = Timeline(NOW, pace="media")
    line.connected(0.0, NOW)
    found = run(line, [10.0 * i for i in range(50)], [0.0] * 50)
    assert not any(m.gap for m in found)


def test_waits_double_up_to_a_limit_and_are_cut_by_chance() -> None:
    longest = BackOff(1.0, 60.0, chance=lambda: 1.0)
    assert [longest.next_s() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    longest.reset()
    assert longest.next_s() == 1
    assert [BackOff(1.0, 60.0, chance=lambda: 0.0).next_s() for _ in range(2)] == [0.1, 0.1]
    some = {BackOff(1.0, 60.0).next_s() for _ in range(20)}
    assert len(some) > 10
    assert max(some) <= 1


def test_the_sampler_takes_the_nearest() -> None:
    sampler = LiveSampler(Sampling(per_second=2))
    times = [i / 30 for i in range(91)]
    assert [t for t in times if sampler.wanted(t, 1 / 30)] == pytest.approx(
        [0, 0.5, 1, 1.5, 2, 2.5, 3]
    )
    rare = LiveSampler(Sampling(per_second=30))
    # Fewer than asked for: all of them, none twice
    assert all(rare.wanted(t / 10, 0.1) for t in range(20))


def test_what_is_a_stream() -> None:
    for text in (
        "rtsp://h/1",
        "RTSPS://h/1",
        "http://h/1.m3u8",
        "udp://@:1234",
        "srt://h:1",
        "device:/dev/video0",
        "/dev/video2",
    ):
        assert is_stream(text), text
    for text in (
        "clip.mp4",
        "/data/clips",
        "photos/*.jpg",
        "file:///clip.mp4",
        "/dev/shm/clip.mp4",
        "C:\\clips",
    ):
        assert not is_stream(text), text


def test_a_source_is_the_same_whatever_the_password() -> None:
    one, two = (
        stream_of("rtsp://joe:a@host:554/cam?channel=1&token=x"),
        stream_of("rtsp://host:554/cam?channel=1&token=y"),
    )
    assert one.info == two.info.__class__(two.info.source_id, "stream", one.info.uri)
    assert stream_of("rtsp://host:554/cam?channel=2").info.source_id != one.info.source_id
    assert one.info.source_id.startswith("host-554-cam-")
    assert "joe:a@" not in repr(one)


@pytest.mark.parametrize(
    ("url", "plain"),
    [
        ("rtsp://joe:pw?x@host/cam", "rtsp://***@host/cam"),
        ("rtsp://joe:p/w?x@y@host/cam?profile=1&t=2", "rtsp://***@host/cam?profile=1&t=***"),
        ("http://host:80/p?mail=a@b", "http://host:80/p?mail=***"),
        ("http://host/p?mail=a@b", "http://host/p?mail=***"),
    ],
)
def test_unescaped_passwords_arent_shown(url: str, plain: str) -> None:
    assert shown(url) == plain


def test_secrets_move_to_the_environment_and_back(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [n for n in os.environ if n.startswith("TEST_SECRET")]:
        monkeypatch.delenv(name)
    for url in (
        "rtsp://joe:p%40w@host/cam",
        "http://host/x?token=a%26b&fps=3",
        "rtsp://joe@h/x",
        "rtsp://joe:pw@h:1/x?sig=1",
    ):
        moved = in_environment(url, "TEST_SECRET")
        assert holds_secrets(url)
        assert not holds_secrets(moved)
        assert stream_of(moved).address == url
    assert in_environment("rtsp://host/cam", "TEST_SECRET") == "rtsp://host/cam"


def test_a_reader_that_crashes_is_a_gap(tmp_path: Path) -> None:
    with http_server(Camera(fps=10).serve) as url:
        run = Background(stream_job(tmp_path, f"{url}/cam", stream={"shard_s": 1}, isolate=True))
        wait_until(lambda: committed_frames(tmp_path) > 1, "the first shard", run.thread.is_alive)
        children = ["pgrep", "-P", str(os.getpid()), "-f", "segpipe[.]runtime[.]isolation"]
        for pid in subprocess.run(
            children, capture_output=True, text=True, check=True
        ).stdout.split():
            os.kill(int(pid), signal.SIGKILL)
        wait_until(
            lambda: any(g["kind"] == "crash" for g in committed_gaps(tmp_path)),
            "the crash",
            run.thread.is_alive,
        )
        frames = committed_frames(tmp_path)
        wait_until(
            lambda: committed_frames(tmp_path) > frames + 1,
            "frames after the crash",
            run.thread.is_alive,
        )
        run.stop()
    (gap,) = [g for g in gaps_of(tmp_path) if g["kind"] == "crash"]
    assert "SIGKILL" in gap["reason"]
    found_frames = frames_of(tmp_path)
    assert (
        found_frames[-1]["timestamp"]
        > gap["stop"]
        > gap["start_time"]
        > found_frames[0]["timestamp"]
    )
    assert all(b["pts_s"] > a["pts_s"] for a, b in itertools.pairwise(found_frames))
