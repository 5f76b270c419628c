"""What a run makes of what an earlier one left: what was wrong only for a moment ends as if all had
gone well."""

from __future__ import annotations

import errno
import itertools
import pickle
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from segpipe import open_dataset
from segpipe.core.config.job import make_job
from segpipe.core.types import FileStamp, Position
from segpipe.pipeline.retries import MOST_ATTEMPTS
from segpipe.pipeline.settings import FrameSettings
from segpipe.pipeline.source_context import load_source_context
from segpipe.sources.identity import identify
from segpipe.sources.ids import source_info
from segpipe.sources.images import probe as image_probe
from segpipe.sources.shards import shards_of_files
from segpipe.sources.video import packets as packets_
from segpipe.sources.video import probe as video_probe
from segpipe.sources.video.container import open_container
from segpipe.store import Store
from segpipe.store import sources as sources_
from segpipe.store.sources import write_source_metadata
from segpipe.telemetry.locate import Locator
from segpipe.telemetry.metadata import Photo, SourceMetadata
from segpipe.training.sample.drive import DriveSettings, render_frame
from segpipe.training.sample.world import build
from segpipe.verify import verify
from tests.driving import eastwards, with_vehicle, write_gpx
from tests.footage import make_video
from tests.inference.test_ego_and_quality import write_video
from tests.pipeline.test_run import FAKE, FOLLOW, snapshot

TEN = datetime(2026, 5, 1, 10, tzinfo=UTC)
Call = Callable[..., tuple[int, str, str]]


def hide_beginning(path: Path, units: int) -> Path:
    """Let the edit list of an MP4 begin `units` of its media's time later."""
    data = bytearray(path.read_bytes())
    at = data.index(b"elst")
    data[at + 16 : at + 20] = (int.from_bytes(data[at + 16 : at + 20], "big") + units).to_bytes(
        4, "big"
    )
    path.write_bytes(data)
    return path


def test_a_video_of_which_no_frame_is_wanted_is_accounted_for(
    tmp_path: Path, segpipe: Call
) -> None:
    """Its only key frame is hidden by an edit list."""
    clip = hide_beginning(make_video(tmp_path / "clip.mp4", gop=100), 2048)
    out, flags = tmp_path / "out", (*FAKE, "--set", "sampling.keyframes=true")
    assert segpipe("run", clip, "-o", out, *flags)[0] == 1
    (row,) = snapshot(out)["frames"]
    assert (row["status"], row["error_class"]) == ("error", "permanent")
    assert "none of its" in row["error"]
    assert not verify(out, footage=True).wrong
    assert "nothing new" in segpipe("run", clip, "-o", out, *flags)[1]


def test_an_image_that_comes_later_has_tries_of_its_own(tmp_path: Path, segpipe: Call) -> None:
    """It isn't given up because its neighbour in the folder has been tried often."""
    folder, out = tmp_path / "footage", tmp_path / "out"
    folder.mkdir()
    (folder / "a.png").symlink_to(tmp_path / "drive" / "a.png")  # a drive that isn't mounted
    for _ in range(MOST_ATTEMPTS - 1):
        segpipe("run", folder, "-o", out, *FAKE, *FOLLOW)
    (folder / "b.png").symlink_to(tmp_path / "drive" / "b.png")
    for tries in range(MOST_ATTEMPTS):
        code, text, _ = segpipe("run", folder, "-o", out, *FAKE, *FOLLOW)
        assert (code, text.startswith("2 frames " if tries == 0 else "1 frame ")) == (1, True), text
    assert "nothing new" in segpipe("run", folder, "-o", out, *FAKE, *FOLLOW)[1]
    assert {
        f.name: r.attempt for r in open_dataset(out).records() for f in r.files
    } == dict.fromkeys((identify(folder / name).key for name in ("a.png", "b.png")), 4)


def test_shards_that_stay_learn_how_many_they_are_now(tmp_path: Path, segpipe: Call) -> None:
    """A track that grew asks for more frames: the shards that were done aren't done again, and
    agree with the new ones."""
    clip, out = make_video(tmp_path / "clip.mp4", frames=160, fps=20, gop=20), tmp_path / "out"
    flags = (
        *FAKE,
        "--start",
        "2026-05-01T10:00:00Z",
        "--set",
        "sampling.every_m=5",
        "--set",
        "store.frames_per_shard=4",
    )
    write_gpx(tmp_path / "clip.gpx", TEN, eastwards(5))
    assert segpipe("run", clip, "-o", out, *flags)[0] == 0
    before = {p.name: p.stat().st_mtime_ns for p in (out / "masks").iterdir()}
    write_gpx(tmp_path / "clip.gpx", TEN, eastwards(12))
    assert segpipe("run", clip, "-o", out, *flags)[0] == 0
    after = {p.name: p.stat().st_mtime_ns for p in (out / "masks").iterdir()}
    assert [n for n in before if after.get(n) == before[n]]
    assert not verify(out, footage=True).wrong
    segpipe("run", clip, "-o", tmp_path / "fresh", *flags)
    assert snapshot(out) == snapshot(tmp_path / "fresh")
    assert "nothing new" in segpipe("run", clip, "-o", out, *flags)[1]


class Failing:
    """A container on a disk that can't be read behind the first packets."""

    def __init__(self, path: Path, packets: int, max_pixels: int) -> None:
        self.container, self.packets = open_container(path, max_pixels), packets

    def __getattr__(self, name: str) -> Any:
        return getattr(self.container, name)

    def __enter__(self) -> Failing:
        return self

    def __exit__(self, *_: object) -> None:
        self.container.close()

    def demux(self, stream: av.VideoStream) -> Iterator[av.Packet[Any]]:
        yield from itertools.islice(self.container.demux(stream), self.packets)
        raise av.error.OSError(errno.EIO, "Input/output error")


def test_a_read_error_in_the_middle_of_an_index_is_of_a_moment(
    tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, out = make_video(tmp_path / "clip.mp4", options={"bf": "0"}), tmp_path / "out"
    # So that the patch below reaches it.
    flags = (
        *FAKE,
        "--set",
        "store.frames_per_shard=10",
        "--set",
        "read.isolate=false",
    )

    def run(packets: int) -> int:
        packets_._index.cache_clear()
        with monkeypatch.context() as patch:
            patch.setattr(
                packets_, "open_container", lambda path, most: Failing(path, packets, most)
            )
            return segpipe("run", clip, "-o", out, *flags)[0]

    assert run(25) == 6
    (failed,) = [r for r in snapshot(out)["frames"] if r["status"] == "error"]
    assert (failed["error"], failed["error_class"]) == (
        "reading stopped after 25 frames (Input/output error)",
        "transient",
    )
    assert not verify(out).wrong
    kept = sorted((out / "masks").iterdir())[:2]
    before = [p.stat().st_mtime_ns for p in kept]
    assert segpipe("run", clip, "-o", out, *flags)[0] == 0
    assert not verify(out, footage=True).wrong
    segpipe("run", clip, "-o", tmp_path / "fresh", *flags)
    assert snapshot(out) == snapshot(tmp_path / "fresh")
    assert [p.stat().st_mtime_ns for p in kept] == before
    for table in ("frames", "masks", "class_stats"):  # so that the index is needed once more
        sorted((out / table).iterdir())[0].unlink()
    run(25)
    assert len(snapshot(out)["frames"]) == 30  # what lies behind the error isn't thrown away
    segpipe("run", clip, "-o", out, *flags)
    assert snapshot(out) == snapshot(tmp_path / "fresh")
    assert not verify(out, footage=True).wrong


@pytest.fixture(scope="module")
def bonnet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip and a folder of photos, with the vehicle itself in sight."""
    folder, settings = tmp_path_factory.mktemp("bonnet"), DriveSettings(width=640, height=360)
    things = build(settings.seed)
    frames, _ = with_vehicle([render_frame(settings, things, t)[0] for t in np.linspace(0, 9, 24)])
    write_video(folder / "clip.mp4", frames)
    (folder / "photos").mkdir()
    for i, rgb in enumerate(frames):
        Image.fromarray(rgb).save(folder / "photos" / f"{i:02}.jpg", quality=90)
    return folder


@pytest.mark.parametrize("name", ["clip.mp4", "photos"])
def test_rows_without_the_ego_mask_are_done_again_with_it(
    name: str, bonnet: Path, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first survey failed for a moment, so that the frames were segmented without knowing of
    the vehicle."""
    out, flags = (
        tmp_path / "out",
        (*FAKE, "--set", "ego_mask=auto", "--set", "store.frames_per_shard=9"),
    )

    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(video_probe, "find_ego_mask", fail)
        patch.setattr(image_probe, "find_ego_mask", fail)
        assert (
            segpipe("run", bonnet / name, "-o", out, *flags, "--set", "read.isolate=false")[0] == 0
        )
    rows = {r["valid_pixels"] for r in snapshot(out)["frames"]}
    assert rows == {640 * 360}
    assert segpipe("run", bonnet / name, "-o", out, *flags)[0] == 0
    assert max(r["valid_pixels"] for r in snapshot(out)["frames"]) < 0.9 * 640 * 360
    assert not verify(out).wrong
    segpipe("run", bonnet / name, "-o", tmp_path / "fresh", *flags)
    assert snapshot(out) == snapshot(tmp_path / "fresh")
    assert "nothing new" in segpipe("run", bonnet / name, "-o", out, *flags)[1]


def test_the_ego_mask_of_a_folders_first_images_stays(
    bonnet: Path, tmp_path: Path, segpipe: Call
) -> None:
    folder, out = tmp_path / "photos", tmp_path / "out"
    shutil.copytree(
        bonnet / "photos", folder, ignore=lambda _, names: [n for n in names if n >= "12"]
    )
    flags = (*FAKE, "--set", "ego_mask=auto")
    segpipe("run", folder, "-o", out, *flags)
    before = {r["frame_id"]: r["valid_pixels"] for r in snapshot(out)["frames"]}
    shutil.copytree(bonnet / "photos", folder, dirs_exist_ok=True, copy_function=shutil.copy2)
    assert "12 frames" in segpipe("run", folder, "-o", out, *flags)[1]
    after = {r["frame_id"]: r["valid_pixels"] for r in snapshot(out)["frames"]}
    assert {i: after[i] for i in before} == before
    assert len(set(after.values())) == 1
    assert not verify(out).wrong


def test_a_shard_of_a_large_folder_needs_little_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is known of ten thousand photos is read once, and a shard is given what concerns its
    own."""
    folder = source_info("images-0", "images", tmp_path / "photos")
    photos = tuple(
        Photo(
            f"{i:020x}",
            f"{i:05}.jpg",
            1,
            1,
            10**15 + i * 10**6,
            "exif",
            Position(52 + i * 1e-5, 4.0, "exif"),
        )
        for i in range(10_000)
    )
    facts = SourceMetadata(folder, "key", photos=photos, order=("exif",))
    job = make_job({"inputs": [folder.uri], "output": str(tmp_path / "out")})
    store = Store(tmp_path / "out", job.store, ())
    write_source_metadata(store.root, facts)
    read, original = [], sources_.read_table
    monkeypatch.setattr(sources_, "read_table", lambda path: read.append(path) or original(path))
    files = tuple(FileStamp(p.key, 1, 1) for p in photos)
    settings = FrameSettings.of(job)
    for shard in shards_of_files(folder, files, 500):
        context = load_source_context(store.root, folder.source_id, settings).of_shard(shard)
        assert len(pickle.dumps(context.locator)) < 100_000
        keys = [*(f.name for f in shard.files), "new"]
        assert pickle.loads(pickle.dumps(context.locator)).of_images(keys) == Locator(
            facts
        ).of_images(keys)
        assert context.facts_digest == facts.digest()
    assert len(read) == 1
    moved = replace(facts, photos=tuple(replace(p, time_us=5) for p in photos))
    write_source_metadata(store.root, moved)
    context = load_source_context(store.root, folder.source_id, settings)
    assert context.locator.of_images(keys[:1]) == Locator(moved).of_images(keys[:1])
    assert len(read) == 2
