"""Tracks that take long, or never end: the track is lost, never the clock of the footage, and
leave no program behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from segpipe.core.errors import SourceError
from segpipe.runtime import isolation
from segpipe.telemetry import exiftool
from segpipe.telemetry.exiftool import exiftool_track
from segpipe.telemetry.gpx import read_gpx
from segpipe.telemetry.nmea import read_nmea
from segpipe.telemetry.table import read_csv
from tests.clock import HANG_S, is_gone, wait_until
from tests.conftest import ROOT
from tests.driving import eastwards, write_gpx
from tests.footage import make_video
from tests.pipeline.test_run import FAKE
from tests.pipeline.test_where import TEN, frames_of, photo, source_of

Call = Callable[..., tuple[int, str, str]]
SHORT = ("--set", "read.timeout_s=1")
TAGS = ("GPSDateTime", "GPSLatitude", "GPSLongitude", "SampleTime", "SampleDuration")
FIXES = {
    f"Doc{i + 1}:{tag}": value
    for i, (lat, lon) in enumerate(eastwards(3))
    for tag, value in zip(
        TAGS, (f"2026:05:01 10:00:{i:02}.000", lat, lon, float(i), 1.0), strict=True
    )
}
"""What exiftool would say of a video of three seconds."""


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], Path]]:
    """An exiftool that takes so many seconds; the file holds the numbers of its process and of one
    that it started."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "fixes.json").write_text(json.dumps([FIXES]))

    def make(seconds: float) -> Path:
        script = (
            f"#!/bin/sh\nsleep {seconds} &\necho $$ $! > {folder}/pid\nwait\ncat "
            f"{folder}/fixes.json\n"
        )
        (folder / "exiftool").write_text(script)
        (folder / "exiftool").chmod(0o755)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
        return folder / "pid"

    monkeypatch.setenv("SEGPIPE_READER_SANDBOX", "off")  # it writes beside itself
    isolation.end_all()
    yield make
    isolation.end_all()
    for pid in (folder / "pid").read_text().split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


@pytest.fixture
def slow_gpx(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[float], None]]:
    isolation.end_all()
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "sabotage"))
    yield lambda seconds: monkeypatch.setenv("SABOTAGE_GPX_S", str(seconds))
    isolation.end_all()


def test_an_exiftool_that_takes_its_time_is_waited_for(
    tmp_path: Path, segpipe: Call, program: Callable[[float], Path]
) -> None:
    program(7)  # a child that waits without a sign is ended after 4 s here
    video = make_video(tmp_path / "clip.mp4")
    assert segpipe("run", video, "-o", tmp_path / "out", *FAKE, *SHORT)[0] == 0
    frames = frames_of(tmp_path / "out")
    assert set(frames["timestamp_source"]) == {"gps"}
    assert frames["latitude"].notna().all()


def test_an_exiftool_that_takes_too_long_is_ended_and_named(
    tmp_path: Path, program: Callable[[float], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    pid = program(300)
    monkeypatch.setattr(exiftool, "TIMEOUT_S", 1.5)
    with pytest.raises(SourceError, match=r"exiftool took more than 1.5 s and was ended"):
        exiftool_track(make_video(tmp_path / "clip.mp4"), 0.0)
    assert is_gone(int(pid.read_text().split()[0]))  # it would have taken five minutes
    from segpipe.sources.video.names import found_video
    from segpipe.sources.video.probe import probe_video
    from tests.core.test_config import make_job

    job = make_job(
        {
            "inputs": [str(tmp_path / "clip.mp4")],
            "output": "x",
            "time": {"start": "2026-05-01T10:00:00Z"},
        }
    )
    facts = probe_video(found_video(tmp_path / "clip.mp4"), job, {}, None)
    assert facts.start_source == "start"
    assert any("exiftool took more than" in note for note in facts.notes)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_exiftool_ends_with_the_run(
    number: signal.Signals, tmp_path: Path, program: Callable[[float], Path]
) -> None:
    pid = program(10_000)
    command = [
        sys.executable,
        "-m",
        "segpipe",
        "run",
        str(make_video(tmp_path / "clip.mp4")),
        "-o",
        str(tmp_path / "out"),
        *FAKE,
    ]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_until(
        lambda: pid.exists() and bool(pid.read_text().strip()),
        "exiftool",
        lambda: process.poll() is None,
    )
    process.send_signal(number)
    process.wait(HANG_S)
    for number_of in pid.read_text().split():
        wait_until(lambda p=int(number_of): is_gone(p), "the end of exiftool")  # type: ignore[misc]


def test_a_gpx_that_takes_its_time_is_waited_for(
    tmp_path: Path, segpipe: Call, slow_gpx: Callable[[float], None]
) -> None:
    slow_gpx(7)
    video = make_video(tmp_path / "clip.mp4")
    write_gpx(tmp_path / "clip.gpx", TEN, eastwards(20_000, step_m=1.0))  # a megabyte and more
    flags = (*FAKE, *SHORT, "--start", "2026-05-01T10:00:00Z")
    assert segpipe("run", video, "-o", tmp_path / "out", *flags)[0] == 0
    assert source_of(tmp_path / "out")["track_source"] == "gpx:clip.gpx"


def test_a_gpx_that_never_ends_costs_the_track_alone_and_is_tried_again(
    tmp_path: Path,
    segpipe: Call,
    slow_gpx: Callable[[float], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow_gpx(1000)
    video, out = make_video(tmp_path / "clip.mp4"), tmp_path / "out"
    write_gpx(tmp_path / "clip.gpx", TEN, eastwards(30))
    code, printed, _ = segpipe(
        "run", video, "-o", out, *FAKE, *SHORT, "--start", "2026-05-01T10:00:00Z"
    )
    assert code == 0
    assert "clip.mp4: tracks can't be read now: reading made no progress for" in printed
    assert set(frames_of(out)["timestamp_source"]) == {"start"}
    assert frames_of(out)["latitude"].isna().all()
    monkeypatch.delenv("SABOTAGE_GPX_S")
    isolation.end_all()
    code, printed, _ = segpipe("run", video, "-o", out, *FAKE)  # nobody names the start again
    assert "were updated" in printed
    assert set(frames_of(out)["timestamp_source"]) == {"start"}
    assert frames_of(out)["latitude"].notna().all()
    # What is known stays known when the track fails again, also where it was changed meanwhile.
    before = frames_of(out)
    slow_gpx(1000)
    isolation.end_all()
    write_gpx(tmp_path / "clip.gpx", TEN, eastwards(31))
    assert segpipe("run", video, "-o", out, *FAKE, *SHORT)[0] == 0
    assert frames_of(out).equals(before)


def test_photographs_keep_their_times_when_a_track_fails(
    tmp_path: Path, segpipe: Call, slow_gpx: Callable[[float], None]
) -> None:
    slow_gpx(1000)
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(3):
        photo(folder / f"{i}.jpg", f"2026:05:01 10:00:0{i}", offset="+00:00")
    write_gpx(folder / "t.gpx", TEN, eastwards(30))
    assert segpipe("run", folder, "-o", tmp_path / "out", *FAKE, *SHORT)[0] == 0
    assert set(frames_of(tmp_path / "out")["timestamp_source"]) == {"exif"}


def many_beats(path: Path) -> Iterator[int]:
    """Reads a track; the number of signs of life that it gave."""
    beats, beat = 0, isolation.heartbeat.beat

    def counted() -> None:
        nonlocal beats
        beats += 1

    isolation.heartbeat.beat = counted
    since = time.process_time()
    {".gpx": read_gpx, ".nmea": read_nmea}.get(path.suffix, lambda p: read_csv(p, {}, None))(path)
    isolation.heartbeat.beat = beat
    yield beats
    yield int(time.process_time() - since)


def test_long_tracks_give_signs_of_life(tmp_path: Path) -> None:
    time_of = datetime.fromtimestamp
    rows = [f"{TEN.timestamp() + i / 10},52.0,{0.1 + i * 1e-6:.7f}\n" for i in range(600_000)]
    (tmp_path / "t.csv").write_text("time,latitude,longitude\n" + "".join(rows))
    lines = (time_of(TEN.timestamp() + i, TEN.tzinfo) for i in range(40_000))
    (tmp_path / "t.nmea").write_text(
        "".join(
            f"$GPRMC,{t:%H%M%S},A,5200.000,N,00010.000,E,10.0,90.0,{t:%d%m%y},,\n" for t in lines
        )
    )
    write_gpx(tmp_path / "t.gpx", TEN, [(52.0, 0.1)] * 60_000)
    for name in ("t.csv", "t.nmea", "t.gpx"):
        beats, seconds = isolation.stream(many_beats, tmp_path / name, timeout_s=60.0)
        assert beats >= max(1, seconds), name
