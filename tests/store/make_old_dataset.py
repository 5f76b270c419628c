"""Makes tests/store/data/schema3.tar.xz and schema4.tar.xz: footage, and the datasets that the
released code of that schema version made of it.

    git worktree add --detach /tmp/segpipe-s3 9ba750e    # the last commit of schema 3
    git worktree add --detach /tmp/segpipe-s4 9e1f360    # the last commit of schema 4
    python -m tests.store.make_old_dataset 3 /tmp/segpipe-s3
    python -m tests.store.make_old_dataset 4 /tmp/segpipe-s4

The footage differs from time to time (the streams' times are those of the recording), so the
archives stay in the repository. `tests.store.old_datasets` unpacks them elsewhere.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from PIL import Image

from tests.footage import picture
from tests.pipeline.live.servers import Camera, http_server

ROOT = Path("/tmp/segpipe-old")
"""Where the footage lay and the dataset was made: the paths in the archives begin so."""
DATA = Path(__file__).parent / "data"
SETTINGS = ("model.source=fake:", "store.frames_per_shard=8", "read.isolate=false")
FOOTAGE_NS = 1_777_636_800_123_456_789
"""When the footage was changed last: 2026-05-01 12:00 UTC. Archives keep no nanoseconds."""


def main(version: str, tree: str) -> None:
    """Make the archive of one schema version with the code in `tree`."""
    shutil.rmtree(ROOT, ignore_errors=True)
    _make_footage(ROOT / "footage", several_streams=version != "3")
    more = [] if version == "3" else ["--set", "sampling.stream=all"]
    _run(tree, str(ROOT / "footage"), "-o", str(ROOT / "out"), *more)
    camera = Camera(fps=10, events=((1.0, "drop", 0.5),), stop_s=2.0)
    with http_server(camera.serve) as url:
        _run(tree, f"{url}/cam", "-o", str(ROOT / "out"), "--duration", "6s")
    DATA.mkdir(exist_ok=True)
    with tarfile.open(DATA / f"schema{version}.tar.xz", "w:xz", preset=9) as archive:
        for name in ("footage", "out"):
            archive.add(ROOT / name, name, filter=_nobodys)


def _run(tree: str, *arguments: str) -> None:
    command = [sys.executable, "-m", "segpipe", "run", "-q", *arguments]
    for setting in SETTINGS:
        command += ["--set", setting]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": tree}, cwd=tree, check=False)
    if done.returncode not in {0, 6}:
        raise SystemExit(f"{command}: exit code {done.returncode}")


def _nobodys(entry: tarfile.TarInfo) -> tarfile.TarInfo | None:
    """An entry without the name of who made it; no lock."""
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    return None if Path(entry.name).name.startswith(".") else entry


def _make_footage(folder: Path, several_streams: bool) -> None:
    """Two clips of a drive with a track, a copy of one of them, photos, one of which is broken; and
    a file of two video streams."""
    (folder / "copies").mkdir(parents=True)
    (folder / "photos").mkdir()
    _clip(folder / "clip-a.mp4", 0, 20)
    _clip(folder / "clip-b.mp4", 20, 12)
    shutil.copy(folder / "clip-b.mp4", folder / "copies" / "clip-b.mp4")
    _track(folder / "clip-a.gpx")
    for number in range(10):
        _photo(folder / "photos" / f"{number}.png", number)
    (folder / "photos" / "broken.jpg").write_bytes(b"no picture at all")
    if several_streams:
        _clip(folder / "both.mp4", 60, 10, streams=2)
    for path in folder.rglob("*.*"):
        os.utime(path, ns=(FOOTAGE_NS, FOOTAGE_NS))


def _clip(path: Path, first: int, frames: int, streams: int = 1) -> None:
    with av.open(str(path), "w") as container:
        container.metadata["creation_time"] = f"2026-05-01T12:00:{first // 10:02d}.000000Z"
        tracks = [
            container.add_stream("libx264", rate=10, options={"bf": "0"}) for _ in range(streams)
        ]
        for stream in tracks:
            stream.width, stream.height, stream.pix_fmt, stream.gop_size = 64, 48, "yuv420p", 10
            stream.time_base = Fraction(1, 10)
        for number in range(frames):
            for stream in tracks:
                rgb = picture(first + number, 64, 48)
                rgb[30:, 40:] = (30, 200, 30) if stream is tracks[0] else (30, 30, 220)
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                frame.pts, frame.time_base = number, Fraction(1, 10)
                container.mux(stream.encode(frame))
        for stream in tracks:
            container.mux(stream.encode(None))


def _photo(path: Path, seed: int) -> None:
    pixels = np.random.default_rng(seed).integers(0, 2, (12, 16, 3)).astype(np.uint8) * 220
    image = Image.fromarray(pixels.repeat(4, 0).repeat(4, 1))
    exif = Image.Exif()
    exif.get_ifd(0x8769)[0x9003] = f"2026:05:01 13:00:{seed:02d}"
    image.save(path, exif=exif)


def _track(path: Path) -> None:
    points = "".join(
        f'<trkpt lat="{51.5 + 0.0001 * i:.5f}" lon="-0.1"><time>2026-05-01T12:00:{i:02d}Z</time>'
        "</trkpt>"
        for i in range(4)
    )
    path.write_text(
        '<gpx version="1.1" creator="segpipe" xmlns="http://www.topografix.com/GPX/1/1">'
        f"<trk><trkseg>{points}</trkseg></trk></gpx>"
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
