"""A day of streaming, as fast as it can be read: `python -m tests.torture.day [SECONDS]`.

A real HTTP server in a process of its own plays a day of MPEG-TS at a frame every two seconds,
drops connections and jumps in time. The run must account for every second, with flat memory and a
bounded number of files.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

from segpipe import open_dataset
from segpipe.analysis.report.summary import size_on_disk
from segpipe.pipeline.prepare import prepared
from segpipe.pipeline.run import executor, run
from tests.pipeline.live.recording import frames_of, gaps_of, stream_job
from tests.pipeline.live.servers import Camera, http_server

DAY_S = 86_400
STEP_S = 2.0
GIVE_UP_S = 90.0
"""A busy server may be away for so long; the run takes so long to end."""
OUTAGES = (
    (0.05, "drop", 120),
    (0.17, "jump", 600),
    (0.31, "drop", 30),
    (0.32, "drop", 5),
    (0.5, "drop", 1800),
    (0.66, "jump", 45),
    (0.8, "drop", 300),
    (0.93, "drop", 60),
)
"""Where in the day (as a share), how, and for how many seconds of media; shorter where the day
is."""


@dataclass
class Memory:
    """Resident bytes of this process and its children, by the share of the day that is done."""

    samples: list[tuple[float, int]] = field(default_factory=list)

    def peak(self, start: float, stop: float) -> int:
        """The most between two shares of the day."""
        return max((b for s, b in self.samples if start <= s < stop), default=0)


@dataclass(frozen=True)
class Day:
    """What came of it. `missing_s` are the seconds that neither frames nor gaps account for."""

    seconds: int
    sent: int
    frames: int
    reconnects: int
    gaps: int
    gap_s: float
    missing_s: float
    files: int
    largest_file: int
    bytes: int
    early: int
    late: int
    wall_s: float


def simulate(folder: Path, seconds: int = DAY_S, shard_s: float = 600.0) -> Day:
    """Record a day into a dataset in `folder`."""
    events = tuple(
        (round(at * seconds), kind, max(10, round(length * seconds / DAY_S)))
        for at, kind, length in OUTAGES
    )
    here, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(
        target=_serve, args=(theirs, events, seconds), daemon=True
    )
    server.start()
    memory, began = Memory(), time.monotonic()
    stream = {
        "clock": "media",
        "on_lag": "block",
        "shard_s": shard_s,
        "give_up_s": GIVE_UP_S,
        "backoff_s": 0.05,
    }
    job = stream_job(folder, f"{here.recv()}/cam", stream=stream, isolate=True)
    done = [0]
    over = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(memory, done, seconds, over, server.pid), daemon=True
    )
    with prepared(job) as ready:
        watcher.start()

        def on_frames(frames: int, _failed: int) -> None:
            done[0] += frames

        with executor(ready, on_frames) as submit:
            report = run(ready, submit)
    over.set()
    here.send("how many")
    sent = here.recv()
    server.terminate()
    return _day(
        folder, seconds, sent, report.streams[0].reconnects, memory, time.monotonic() - began
    )


def _serve(pipe: Connection, events: tuple[tuple[float, str, float], ...], seconds: int) -> None:
    camera = Camera(fps=1 / STEP_S, fast=True, events=events, stop_s=seconds)
    with http_server(camera.serve) as url:
        pipe.send(url)
        pipe.recv()
        pipe.send(camera.sent)
        pipe.poll(None)


def _watch(
    memory: Memory, done: list[int], seconds: int, over: threading.Event, server: int | None
) -> None:
    while not over.wait(0.25):
        memory.samples.append((done[0] * STEP_S / seconds, _resident(server)))


def _resident(apart: int | None) -> int:
    """Resident bytes of this process and of its children but one."""
    me, total = multiprocessing.current_process().pid, 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            if int(place.name) == me or (parent == me and int(place.name) != apart):
                total += int((place / "statm").read_text().split()[1]) * 4096
        except (OSError, ValueError, IndexError):  # it has ended
            continue
    return total


def _day(
    folder: Path, seconds: int, sent: int, reconnects: int, memory: Memory, wall_s: float
) -> Day:
    frames, gaps = frames_of(folder), gaps_of(folder)
    # The last one is the day's end.
    within = [g for g in gaps if g["stop_pts_s"] is not None and g["start_pts_s"] is not None]
    times = [r["timestamp"].timestamp() for r in frames]
    steps_s = STEP_S * (len(frames) - 1 - len(within))  # between two frames is a step or a gap
    files = [p for p in folder.rglob("*.parquet") if p.is_file()]
    gap_s = sum(g["duration_s"] for g in within)
    missing_s = times[-1] - times[0] - steps_s - gap_s
    return Day(
        seconds,
        sent,
        len(frames),
        reconnects,
        len(within),
        gap_s,
        missing_s,
        len(files),
        max(p.stat().st_size for p in files),
        size_on_disk(open_dataset(folder)),
        memory.peak(0.0, 0.1),
        memory.peak(0.1, 2.0),
        wall_s,
    )


def main() -> int:
    """Print a day; the exit code says whether it holds."""
    seconds = int(sys.argv[1]) if len(sys.argv) > 1 else DAY_S
    with tempfile.TemporaryDirectory() as folder:
        day = simulate(Path(folder) / "day", seconds)
    print(
        f"simulated {day.seconds} s in {day.wall_s:.0f} s; the server sent {day.sent} frames, "
        f"{day.frames} are in the dataset"
    )
    print(
        f"connected again {day.reconnects} times; {day.gaps} gaps of {day.gap_s:.0f} s; not "
        f"accounted for: {day.missing_s:.3f} s"
    )
    print(
        f"{day.files} files of {day.bytes / 1e6:.1f} MB in all, the largest "
        f"{day.largest_file / 1e3:.0f} kB"
    )
    print(
        f"peak memory of run and reader: {day.early / 1e6:.0f} MB in the first tenth, "
        f"{day.late / 1e6:.0f} MB after: "
        f"{day.late / max(1, day.early):.3f} times"
    )
    return 0 if day.sent == day.frames and abs(day.missing_s) < 0.5 else 1


if __name__ == "__main__":
    sys.exit(main())
