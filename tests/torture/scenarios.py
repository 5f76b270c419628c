"""What runs are killed in: a new dataset, footage that grew and changed, times updated, a dataset
that is replaced."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from segpipe.core.config.job import make_job
from segpipe.pipeline.run import run_job
from segpipe.sources.video.names import video_info
from segpipe.store import exclusive
from segpipe.store.address import is_below
from segpipe.store.address_file import read_addresses
from segpipe.store.forget import contents_of, finish, forget
from segpipe.store.relocate import relocate
from tests.footage import make_video, picture

SETTINGS = {
    "model": {"source": "fake:"},
    "store": {"frames_per_shard": 10},
    "worker": {"lanes": 2, "batch_size": 2},
}
Step = Callable[[Path], object]
Run = Callable[[Path, Path], object]


@dataclass(frozen=True)
class Scenario:
    """`prepare` makes the footage, `first` the dataset before, `change` what happens then, `second`
    is the run that is killed."""

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
    job = {
        "inputs": [str(place / "footage")],
        "output": str(out),
        **SETTINGS,
        "read": {"isolate": isolate},
        **more,
    }
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


def half_copied(place: Path) -> None:
    """The footage, and a clip of which only the first part has come."""
    footage(place)
    whole = make_video(place / "whole.ts", frames=40, size=(320, 192)).read_bytes()
    (place / "footage" / "copying.ts").write_bytes(whole[: len(whole) // 2])


def with_start(place: Path, out: Path) -> None:
    """A run over the clip that is being copied alone, its start given by hand."""
    clip = str(place / "footage" / "copying.ts")
    segment(place, out, inputs=[clip], time={"start": "2026-05-01T10:00:00Z"})


def whole_now(place: Path) -> None:
    """The rest of the clip has come, and so has the image that was broken."""
    folder = place / "footage"
    (folder / "copying.ts").write_bytes((place / "whole.ts").read_bytes())
    Image.fromarray(picture(70)).save(folder / "stills" / "broken.png")


def one_gone(place: Path) -> None:
    """An image and a clip have gone: a new dataset doesn't know them."""
    (place / "footage" / "stills" / "0.png").unlink()
    (place / "footage" / "broken.mp4").unlink()


def moved_grown_and_new(place: Path) -> None:
    """The folder lies elsewhere, its files have other names, one is whole now, and one is new."""
    folder = place / "moved" / "day 1"
    folder.parent.mkdir()
    (place / "footage").rename(folder)
    (folder / "clip.mp4").rename(folder / "first.mp4")
    (folder / "copying.ts").write_bytes((place / "whole.ts").read_bytes())
    (folder / "stills" / "2.png").rename(folder / "stills" / "two.png")
    (folder / "stills" / "0.png").rename(folder / "0.png")
    make_video(folder / "second.mp4", frames=12)
    Image.fromarray(picture(50)).save(folder / "stills" / "new.png")


def names_used_again(place: Path) -> None:
    """The card was emptied, and the camera began with the same names."""
    shutil.rmtree(place / "footage")
    folder = place / "footage" / "stills"
    folder.mkdir(parents=True)
    make_video(place / "footage" / "clip.mp4", frames=24)
    for number in range(7):
        Image.fromarray(picture(60 + number)).save(folder / f"{number}.png")


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
    """The second run has a track: rows are updated without inference."""
    track = {"files": [str(place / "footage" / "clip.gpx")]}
    segment(place, out, track=track, time={"timezone": "UTC"})


def in_utc(place: Path, out: Path) -> None:
    segment(place, out, time={"timezone": "UTC"})


def isolated(place: Path, out: Path) -> None:
    """As users run it: files are read in a child process."""
    segment(place, out, isolate=True)


def replaced(place: Path, out: Path) -> None:
    segment(place, out, replace=True, store={"frames_per_shard": 8})


def elsewhere(place: Path, out: Path) -> None:
    """The footage lies in another folder than the run before found it in."""
    segment(place, out, inputs=[str(place / "moved")])


def forgotten(place: Path, out: Path) -> None:
    """The clip is taken out, unless that was done before."""
    source_id = video_info(place / "footage" / "clip.mp4").source_id
    with exclusive(out):
        finish(out)
        contents = contents_of(out)
        if source_id in contents.source_ids:
            forget(contents, source_id)


def renamed(place: Path) -> None:
    """The folder has another name."""
    (place / "footage").rename(place / "moved")


def relocated(place: Path, out: Path) -> None:
    """The dataset is told where the footage lies now, unless it knows."""
    with exclusive(out):
        if any(is_below(r.uri, str(place / "moved")) for r in read_addresses(out)):
            return
        relocate(out, str(place / "footage"), str(place / "moved"))


def copied(place: Path) -> None:
    """All of it lies elsewhere too, with other times."""
    shutil.copytree(place / "footage", place / "moved", copy_function=shutil.copy)


def mounted(place: Path) -> None:
    """The same share under another path, with the same times."""
    shutil.copytree(place / "footage", place / "moved")


def linked(place: Path) -> None:
    """A link to the folder."""
    (place / "moved").symlink_to(place / "footage")


def in_capitals(place: Path) -> None:
    """The folder as a file system shows it that tells no case."""
    renamed(place)
    for path in sorted(p for p in (place / "moved").rglob("*") if p.is_file()):
        path.rename(path.with_name(path.name.upper()))


def wiped(place: Path) -> None:
    """The card is empty."""
    shutil.rmtree(place / "footage")
    (place / "footage").mkdir()


SCENARIOS = (
    Scenario("new", footage, nothing, nothing, segment),
    Scenario("read in a child", footage, nothing, nothing, isolated),
    Scenario("grown and changed", footage, segment, grown_and_changed, segment),
    Scenario("names used again", footage, segment, names_used_again, segment),
    Scenario("put right", timed, in_utc, other_times, with_track),
    Scenario("replaced", footage, segment, one_gone, replaced),
)
MOVED = (
    Scenario("moved, grown and new", half_copied, segment, moved_grown_and_new, elsewhere),
    Scenario("grown", half_copied, with_start, whole_now, segment),
    Scenario("forgotten", footage, segment, nothing, forgotten),
    Scenario("relocated", footage, segment, renamed, relocated),
)
"""What is done with footage that is known by its content, and the commands beside it."""
PLACES = tuple(
    Scenario(change.__name__.replace("_", " "), footage, segment, change, where)
    for change, where in (
        (renamed, elsewhere),
        (copied, elsewhere),
        (mounted, elsewhere),
        (linked, elsewhere),
        (in_capitals, elsewhere),
        (wiped, segment),
    )
)
"""Known footage at other places, or at none: nothing is done again, and nothing lost."""
