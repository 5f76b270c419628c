"""What runs out: memory of the device, room on the disk, patience. And what is tried again."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from segpipe import open_dataset
from segpipe.core.config.job import make_job
from segpipe.core.errors import DiskFull, is_no_room
from segpipe.core.types import ModelInput
from segpipe.inference.models.fake import FakeSegmenter
from segpipe.pipeline.retries import MOST_ATTEMPTS
from segpipe.pipeline.run import run_job
from segpipe.store import Store
from tests.clock import HANG_S, wait_until
from tests.footage import make_video, picture
from tests.pipeline.test_run import FAKE, FOLLOW, snapshot

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def small_device(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """A device that holds only so many frames of a batch at once."""

    def limit(most: int) -> None:
        from segpipe.inference.worker import SegmentationWorker

        original = SegmentationWorker.run

        def run(self, batch, *rest):  # type: ignore[no-untyped-def]
            if len(batch.inputs) > most:
                raise torch.OutOfMemoryError(f"CUDA out of memory: {len(batch.inputs)} frames")
            return original(self, batch, *rest)

        monkeypatch.setattr(SegmentationWorker, "run", run)

    return limit


@pytest.mark.parametrize(("most", "left"), [(3, 2), (1, 1)])
def test_out_of_memory_halves_the_batch_and_says_so(
    most: int, left: int, small_device: Callable[[int], None], tmp_path: Path, segpipe: Call
) -> None:
    video = make_video(tmp_path / "clip.mp4")
    assert segpipe("run", video, "-o", tmp_path / "whole", *FAKE)[0] == 0
    small_device(most)
    code, text, _ = segpipe(
        "run", video, "-o", tmp_path / "out", *FAKE, "--set", "worker.batch_size=8"
    )
    assert code == 0
    assert f"ran out of memory: batches of 8 were halved to {left}" in text
    assert f"worker.batch_size={left} avoids that" in text
    assert snapshot(tmp_path / "out") == snapshot(tmp_path / "whole")


def test_a_frame_that_does_not_fit_alone_fails_and_is_tried_again(
    small_device: Callable[[int], None],
    tmp_path: Path,
    segpipe: Call,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Image.fromarray(picture(3)).save(tmp_path / "a.png")
    with monkeypatch.context():
        small_device(0)
        assert segpipe("run", tmp_path / "a.png", "-o", tmp_path / "out", *FAKE)[0] == 1
    (row,) = snapshot(tmp_path / "out")["frames"]
    assert "too little memory for this frame" in row["error"]
    assert row["error_class"] == "transient"
    monkeypatch.undo()
    assert segpipe("run", tmp_path / "a.png", "-o", tmp_path / "out", *FAKE)[0] == 0
    assert snapshot(tmp_path / "out")["frames"][0]["status"] == "ok"


@pytest.mark.gpu
def test_a_batch_that_the_gpu_cannot_hold_is_halved(tmp_path: Path) -> None:
    """Real memory: all but a little of the GPU's is taken, and a batch needs more."""
    video = make_video(tmp_path / "clip.mp4", size=(1280, 704))
    free, _ = torch.cuda.mem_get_info()
    taken = torch.empty(int(free - 1.2 * 2**30), dtype=torch.uint8, device="cuda")
    job = make_job(
        {
            "inputs": [str(video)],
            "output": str(tmp_path / "out"),
            "worker": {"batch_size": 40, "lanes": 1},
        }
    )
    report = run_job(job)
    del taken
    assert report.frames == 40
    assert not report.failed
    assert any("ran out of memory" in n for n in report.notes)


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A real file system of a few megabytes."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"no file system can be mounted here ({done.stderr.decode().strip()})")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def noisy_video(path: Path) -> Path:
    """Pictures whose masks don't compress."""
    folder = path.parent / "noise"
    folder.mkdir()
    noise = np.random.default_rng(1)
    for number in range(24):
        Image.fromarray(noise.integers(0, 255, (240, 320, 3), np.uint8)).save(
            folder / f"{number:02}.png"
        )
    return folder


def test_a_full_disk_ends_the_run_and_the_next_one_goes_on(tmp_path: Path, segpipe: Call) -> None:
    footage = noisy_video(tmp_path / "x")
    flags = (*FAKE, "--set", "store.frames_per_shard=4")
    assert segpipe("run", footage, "-o", tmp_path / "whole", *flags)[0] == 0
    needed = sum(p.stat().st_size for p in (tmp_path / "whole").rglob("*") if p.is_file())
    with small_disk(tmp_path / "disk", f"{needed * 6 // 10 // 1024}k") as disk:
        out = disk / "out"
        code, _, errors = segpipe("run", footage, "-o", out, *flags)
        assert code == 5
        assert "there is no room left to write on" in errors
        assert "run the same command again" in errors
        assert errors.count("\n") == 1
        assert not list(out.rglob("*.tmp"))
        done = open_dataset(out).arrow("frames").num_rows
        assert 0 < done < 24
        assert done % 4 == 0
        subprocess.run(["mount", "-o", "remount,size=64m", str(disk)], check=True)
        code, text, _ = segpipe("run", footage, "-o", out, *flags)
        assert code == 0
        assert f"{24 - done} frames" in text
        assert snapshot(out) == snapshot(tmp_path / "whole")


def test_what_says_that_a_disk_is_full() -> None:
    assert is_no_room(OSError(28, "No space left on device"))
    assert is_no_room(DiskFull("x"))
    assert not is_no_room(OSError(5, "Input/output error"))
    wrapped = RuntimeError("while writing")
    wrapped.__cause__ = OSError(122, "Disk quota exceeded")
    assert is_no_room(wrapped)


def slow_run(tmp_path: Path) -> tuple[list[str], Path]:
    """A run that takes a minute or more: the real model, two shards."""
    video = make_video(tmp_path / "clip.mp4", frames=400, size=(640, 352))
    command = [
        sys.executable,
        "-m",
        "segpipe",
        "run",
        str(video),
        "-o",
        str(tmp_path / "out"),
        "--set",
        "store.frames_per_shard=30",
    ]
    return command, tmp_path / "out"


@pytest.mark.parametrize(
    ("number", "code", "said"),
    [
        (signal.SIGTERM, 143, "stopped; what was committed stays"),
        (signal.SIGINT, 130, "interrupted; run the same command again"),
    ],
)
def test_signals_end_a_run_soon_and_shards_are_whole(
    number: signal.Signals, code: int, said: str, tmp_path: Path
) -> None:
    command, out = slow_run(tmp_path)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    parts = out / "frames"
    wait_until(
        lambda: any(parts.glob("*.parquet")), "the first shard", lambda: process.poll() is None
    )
    process.send_signal(number)
    done = len(list(parts.glob("*.parquet")))
    _, errors = process.communicate(timeout=HANG_S)
    # Of thirteen: the one in work may be at its end
    assert len(list(parts.glob("*.parquet"))) <= done + 1
    assert process.returncode == code
    assert said in errors
    assert "Traceback" not in errors
    assert not list(out.rglob("*.tmp"))
    names = [
        sorted(p.name for p in (out / t).glob("*.parquet"))
        for t in ("frames", "class_stats", "masks")
    ]
    assert names[0] == names[1] == names[2]
    assert open_dataset(out).arrow("frames").num_rows % 30 == 0


def test_max_memory_bounds_what_is_on_the_way(
    tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Frames that are read and not yet written, counted where they are made and where they end."""
    from segpipe.inference.worker import SegmentationWorker
    from segpipe.store.shard_writer import ShardWriter

    size = 160 * 96 * 4  # a frame's pixels at the network's size, and its labels
    waiting, most = [0], [0]
    bump, add = ModelInput.__init__, ShardWriter.add
    original = SegmentationWorker.run

    def counted(self, *arguments, **named):  # type: ignore[no-untyped-def]
        bump(self, *arguments, **named)
        waiting[0] += 1
        most[0] = max(most[0], waiting[0])

    def slow(self, *arguments):  # type: ignore[no-untyped-def]
        time.sleep(0.005)
        return original(self, *arguments)

    def written(self, *arguments):  # type: ignore[no-untyped-def]
        waiting[0] -= 1
        add(self, *arguments)

    monkeypatch.setattr(ModelInput, "__init__", counted)
    monkeypatch.setattr(SegmentationWorker, "run", slow)
    monkeypatch.setattr(ShardWriter, "add", written)
    video = make_video(tmp_path / "clip.mp4", frames=80)
    flags = (
        *FAKE,
        "--set",
        "worker.lanes=4",
        "--set",
        "worker.batch_size=4",
        "--set",
        "read.isolate=false",
    )
    assert segpipe("run", video, "-o", tmp_path / "free", *flags)[0] == 0
    free, most[0], waiting[0] = most[0], 0, 0
    assert (
        segpipe("run", video, "-o", tmp_path / "tight", *flags, "--max-memory", str(10 * size))[0]
        == 0
    )
    assert most[0] <= 10 + 2 * 4  # besides: one group in the reader's hand, one in the writer's
    assert free > most[0]
    assert snapshot(tmp_path / "free") == snapshot(tmp_path / "tight")


@pytest.mark.parametrize("text", ["lots", "-5MB", "0", "5 parsecs"])
def test_a_size_that_is_none(text: str, tmp_path: Path, segpipe: Call) -> None:
    code, _, errors = segpipe(
        "run", tmp_path, "-o", tmp_path / "out", *FAKE, f"--max-memory={text}"
    )
    assert code == 2
    assert "is no size; give it as 500MB or 2GB" in errors


def test_transient_failures_are_tried_again_five_times_and_permanent_ones_are_not(
    tmp_path: Path, segpipe: Call
) -> None:
    folder, out = tmp_path / "footage", tmp_path / "out"
    folder.mkdir()
    Image.fromarray(picture(1)).save(folder / "a.png")
    (folder / "away.png").symlink_to(tmp_path / "drive" / "away.png")  # a drive that isn't mounted
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\nno more")
    (folder / "gone.mp4").symlink_to(tmp_path / "drive" / "gone.mp4")
    for attempt in range(1, MOST_ATTEMPTS + 2):
        _, text, _ = segpipe("run", folder, "-o", out, *FAKE, *FOLLOW)
        # The two that are away.
        done = {1: "4 frames", MOST_ATTEMPTS + 1: "nothing new"}.get(attempt, "2 frames")
        assert done in text, (attempt, text)
        classes = {Path(r["uri"]).name: r["error_class"] for r in snapshot(out)["frames"]}
        assert classes == {
            "a.png": None,
            "away.png": "transient",
            "broken.png": "permanent",
            "gone.mp4": "transient",
        }
    (tmp_path / "drive").mkdir()
    Image.fromarray(picture(2)).save(tmp_path / "drive" / "away.png")
    make_video(tmp_path / "drive" / "gone.mp4", frames=5)
    assert "6 frames" in segpipe("run", folder, "-o", out, *FAKE, *FOLLOW)[1]
    rows = snapshot(out)["frames"]
    assert sorted(Path(r["uri"]).name for r in rows if r["status"] == "error") == ["broken.png"]
    assert len(rows) == 8


def test_a_retried_shard_keeps_its_rows_until_the_new_ones_are_there(
    tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    video, out = make_video(tmp_path / "clip.mp4"), tmp_path / "out"
    with monkeypatch.context() as patch:
        original = FakeSegmenter.logits
        calls = []

        def short_of_memory(self, pixels):  # type: ignore[no-untyped-def]
            calls.append(1)
            if len(calls) in {7, 8}:  # a frame alone is tried twice
                raise MemoryError("allocate memory")
            return original(self, pixels)

        patch.setattr(FakeSegmenter, "logits", short_of_memory)
        assert segpipe("run", video, "-o", out, *FAKE, "--set", "worker.lanes=1")[0] == 6
    before = snapshot(out)
    assert len(before["masks"]) == 39
    with monkeypatch.context() as patch:  # the run that tries again can't write
        patch.setattr(Store, "writer", lambda *_: (_ for _ in ()).throw(RuntimeError("no")))
        assert segpipe("run", video, "-o", out, *FAKE, "--set", "worker.lanes=1")[0] == 1
    assert snapshot(out) == before
    assert segpipe("run", video, "-o", out, *FAKE, "--set", "worker.lanes=1")[0] == 0
    assert len(snapshot(out)["masks"]) == 40
    record = json.loads(json.dumps([r.attempt for r in open_dataset(out).records()]))
    assert record == [1]


def test_too_many_pixels_are_refused_before_they_are_decoded(tmp_path: Path, segpipe: Call) -> None:
    folder = tmp_path / "footage"
    folder.mkdir()
    Image.new("1", (20_000, 20_000)).save(folder / "bomb.png")
    Image.fromarray(picture(1, 320, 192)).save(folder / "large.png")
    Image.fromarray(picture(1)).save(folder / "good.png")
    make_video(folder / "clip.mp4", size=(320, 192), frames=3)
    make_video(folder / "clip.avi", codec="libx264", size=(320, 192), frames=3)
    flags = (*FAKE, "--set", "read.max_pixels=30000")
    assert segpipe("run", folder, "-o", tmp_path / "out", *flags)[0] == 6
    rows = {Path(r["uri"]).name: r for r in snapshot(tmp_path / "out")["frames"]}
    assert {n for n, r in rows.items() if r["status"] == "ok"} == {"good.png"}
    assert "20000 x 20000 = 400000000 pixels are too large" in rows["bomb.png"]["error"]
    assert all("read.max_pixels is 30000" in r["error"] for n, r in rows.items() if n != "good.png")
    assert os.path.getsize(folder / "bomb.png") < 200_000


@pytest.mark.parametrize(
    "said",
    [
        "CUDA error: out of memory",
        "CUBLAS_STATUS_ALLOC_FAILED when calling",
        "can't allocate memory: 5 GB",
    ],
)
def test_every_form_of_out_of_memory_is_known(said: str) -> None:
    from segpipe.inference.worker import SegmentationWorker

    worker = SegmentationWorker(FakeSegmenter())
    assert worker.ran_out_of_memory(RuntimeError(said))
    assert not worker.ran_out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_a_flow_that_failed_does_not_stop_the_next_run_in_its_process(tmp_path: Path) -> None:
    from segpipe.runtime import stopping

    with pytest.raises(ValueError, match="no"), stopping.ending():
        raise ValueError("no")
    assert stopping.STOP.is_set()  # whatever works in other threads ends
    video = make_video(tmp_path / "clip.mp4", frames=4)
    assert (
        run_job(
            make_job(
                {
                    "inputs": [str(video)],
                    "output": str(tmp_path / "out"),
                    "model": {"source": "fake:"},
                }
            )
        ).frames
        == 4
    )


def test_replace_takes_all_away_or_says_so(
    tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    video, out = make_video(tmp_path / "clip.mp4", frames=12), tmp_path / "out"
    assert segpipe("run", video, "-o", out, *FAKE)[0] == 0
    assert (
        segpipe("run", video, "-o", out, *FAKE, "--set", "sampling.every_n=3", "--replace")[0] == 0
    )
    rows = snapshot(out)
    assert (len(rows["frames"]), len(rows["masks"])) == (4, 4)
    monkeypatch.setattr(
        Path,
        "unlink",
        lambda *_, **__: (_ for _ in ()).throw(PermissionError(13, "Permission denied")),
    )
    code, _, errors = segpipe("run", video, "-o", out, *FAKE, "--replace")
    assert code == 5
    assert "can't be emptied (Permission denied)" in errors


def test_a_file_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    from segpipe.runtime.files.atomic import atomic_write

    def fail(path: Path) -> None:
        with atomic_write(path) as file:
            file.write_text("half")
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        fail(tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []
    with atomic_write(tmp_path / "a.parquet") as file:
        file.write_text("all")
    assert [p.name for p in tmp_path.iterdir()] == ["a.parquet"]
