"""What runs are killed in: a new dataset, footage that grew and changed, times put right, a dataset that is replaced."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from segpipe.config import make_job
from segpipe.run import run_job
from tests.footage import make_video, picture

SETTINGS = {"model": {"source": "fake:"}, "store": {"frames_per_shard": 10}, "worker": {"lanes": 2, "batch_size": 2}}
Step = Callable[[Path], object]
Run = Callable[[Path, Path], object]


@dataclass(frozen=True)
class Scenario:
    """`prepare` makes the footage, `first` the dataset before, `change` what happens then, `second` is the run that is killed."""

    name: str
    prepare: Step
    first: Run
    change: Step
    second: Run


def footage(place: Path) -> None:
    """A clip of three shards, seven images, and a file of each kind that can't be read."""
    folder = place / "footage"
    (folder / "stills").mkdir(parents=True)
    make_video(folder / "clip.mp4", frames=30)
    for number in range(7):
        Image.fromarray(picture(number)).save(folder / "stills" / f"{number}.png")
    (folder / "broken.mp4").write_text("these are words\n" * 100)
    (folder / "stills" / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")


def segment(place: Path, out: Path, isolate: bool = False, **more: object) -> None:
    """Run over the footage. What has to be the same for two runs is given: paths and settings."""
    job = {"inputs": [str(place / "footage")], "output": str(out), **SETTINGS, "read": {"isolate": isolate}, **more}
    report = run_job(make_job(job))
    if report.broken:
        raise RuntimeError(f"shards failed: {report.broken}")


def nothing(*_: Path) -> None:
    """No dataset before, no change."""


def grown_and_changed(place: Path) -> None:
    """A new clip, a mended one, images that changed, came and went."""
    folder = place / "footage"
    make_video(folder / "another.mp4", frames=15)
    make_video(folder / "broken.mp4", frames=12)
    make_video(folder / "clip.mp4", frames=22)
    Image.fromarray(picture(40)).save(folder / "stills" / "3.png")
    Image.fromarray(picture(41)).save(folder / "stills" / "new.png")
    (folder / "stills" / "5.png").unlink()


def other_times(place: Path) -> None:
    """Another day for every file: all times in the rows are wrong, and no picture has changed."""
    (place / "footage" / "clip.gpx").write_text(GPX)


GPX = """<?xml version="1.0"?><gpx version="1.1" creator="test"><trk><trkseg>
<trkpt lat="52.0" lon="0.1"><time>2026-05-01T10:00:00Z</time></trkpt>
<trkpt lat="52.001" lon="0.101"><time>2026-05-01T10:00:10Z</time></trkpt>
</trkseg></trk></gpx>"""


def timed(place: Path) -> None:
    """Footage whose names tell the time, so that a track fits it."""
    footage(place)
    folder = place / "footage"
    (folder / "clip.mp4").rename(folder / "20260501_100001.mp4")
    for file in folder.rglob("*.p*"):
        os.utime(file, (1_777_629_600, 1_777_629_600))


def with_track(place: Path, out: Path) -> None:
    """The second run has a track: rows are put right without inference."""
    track = {"files": [str(place / "footage" / "clip.gpx")]}
    segment(place, out, track=track, time={"timezone": "UTC"})


def in_utc(place: Path, out: Path) -> None:
    segment(place, out, time={"timezone": "UTC"})


def isolated(place: Path, out: Path) -> None:
    """As users run it: files are read in a child process."""
    segment(place, out, isolate=True)


def replaced(place: Path, out: Path) -> None:
    segment(place, out, replace=True, store={"frames_per_shard": 8})


SCENARIOS = (
    Scenario("new", footage, nothing, nothing, segment),
    Scenario("read in a child", footage, nothing, nothing, isolated),
    Scenario("grown and changed", footage, segment, grown_and_changed, segment),
    Scenario("put right", timed, in_utc, other_times, with_track),
    Scenario("replaced", footage, segment, nothing, replaced),
)
