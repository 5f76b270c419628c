"""A live server that gives its last pictures again to a new connection: none is recorded twice."""

from __future__ import annotations

import hashlib
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import torch

from segpipe.inference.models import FakeSegmenter
from segpipe.sources.stream.gaps import Mark
from segpipe.sources.stream.timeline import Timeline
from tests.pipeline.live.progress import OwnTime, until
from tests.pipeline.live.recording import frames_of, gaps_of, record, stream_job
from tests.pipeline.live.servers import Playlist, http_server
from tests.pipeline.live.test_timeline import NOW, run, started


class Seeing(FakeSegmenter):
    """Remembers the pictures that it was given."""

    def __init__(self) -> None:
        super().__init__()
        self.pictures: list[bytes] = []

    def logits(self, pixels: torch.Tensor) -> torch.Tensor:
        self.pictures += [hashlib.sha256(p.cpu().numpy().tobytes()).digest() for p in pixels]
        return super().logits(pixels)


def test_an_hls_server_that_was_away(
    tmp_path: Path, own_time: OwnTime, caplog: pytest.LogCaptureFixture
) -> None:
    """From its fourth segment on until the recording has noticed."""
    playlist = Playlist(most=8, on_more=lambda: own_time.advance(1.0))

    def serve(handler: BaseHTTPRequestHandler) -> None:
        if playlist.last >= 4 and "connecting again" not in caplog.text:
            handler.close_connection = True
            handler.send_error(500)
        else:
            playlist.serve(handler)

    seen = Seeing()
    with http_server(serve) as url:
        # Nine segments: the 111th picture looks like the 110th.
        stop = until(lambda: len(seen.pictures) > 75)
        record(stream_job(tmp_path, f"{url}/live/index.m3u8"), stop, seen)
    assert len(frames_of(tmp_path)) == len(seen.pictures) > 60
    assert len(set(seen.pictures)) == len(seen.pictures)
    assert any(g["kind"] == "lost" for g in gaps_of(tmp_path))


def test_pictures_of_the_old_clock_are_dropped_and_it_goes_on() -> None:
    line = started()  # media 50.0 to 50.9, at 0.0 to 0.9 s
    line.lost("lost", "gone", NOW + 1_500_000)
    line.connected(50.5, NOW + 1_000_000)  # half a second late
    found = run(line, [50.5, 50.7, 50.9, 51.0, 51.1], [2.0] * 5)
    assert [m.pts_s for m in found] == pytest.approx([1.0, 1.1])
    assert found[0].gap is not None
    assert found[0].gap.stop_us - found[0].gap.start_us == pytest.approx(100_000, abs=2)


def test_a_clock_that_begins_anew_isnt_the_old_one() -> None:
    line = started(media_s=0.0, count=100)  # 0.0 to 9.9
    line.lost("lost", "gone", NOW + 12_000_000)
    line.connected(0.0, NOW + 13_000_000)
    found = run(line, [0.0, 0.1], [13.0, 13.1])
    assert [m.pts_s for m in found] == pytest.approx([13.0, 13.1])


def test_a_clock_that_begins_anew_behind_the_old_ones_pictures() -> None:
    line = started()
    line.lost("lost", "gone", NOW + 1_500_000)
    line.connected(50.5, NOW + 1_000_000)
    found = run(line, [50.5, 3.0, 3.1], [1.5, 1.6, 1.7])
    assert len(found) == 2
    assert found[1].pts_s - found[0].pts_s == pytest.approx(0.1)


def test_a_reader_after_a_crash_knows_the_clock() -> None:
    line = Timeline(NOW)
    line.resume("crash", "SIGSEGV", 7.0, Mark(57.0, -50.0, finite=False))
    line.connected(56.5, NOW - 300_000)
    found = run(line, [56.5, 57.0, 57.1], [0.5] * 3)
    assert [(m.pts_s, m.utc_us) for m in found] == [(pytest.approx(7.1), NOW + 100_000)]
