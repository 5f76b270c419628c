"""Reading in a child process: what crashes or hangs there costs a frame, never the run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from segpipe.core.config.job import ReadSettings, Sampling
from segpipe.core.errors import SourceError
from segpipe.core.types import ModelInput, UInt8
from segpipe.inference.models.preprocess import Preprocessing
from segpipe.pipeline.read import ReadRequest, ShardReader
from segpipe.runtime import isolation
from segpipe.sources import ImageFolder
from segpipe.sources.decoding import PLAIN
from segpipe.sources.stream.backoff import BackOff
from tests.clock import is_gone, wait_until
from tests.conftest import ROOT
from tests.footage import make_video, picture
from tests.pipeline.test_run import snapshot

SABOTAGE = ROOT / "tests" / "sabotage"


def pictures(count: int) -> Iterator[UInt8]:
    for number in range(count):
        yield picture(number)


def crash(count: int, number: int) -> Iterator[int]:
    yield from range(count)
    os.kill(os.getpid(), number)


def hang(beats: int, compute: bool) -> Iterator[int]:
    for _ in range(beats):
        isolation.heartbeat()
        time.sleep(0.6)
    yield beats
    while compute:
        pass
    time.sleep(100)


def fail(transient: bool) -> Iterator[int]:
    yield 1
    raise SourceError("no such thing", transient)


def compute(seconds: float) -> None:
    """So many seconds of processor time, without a sign of life."""
    until = time.process_time() + seconds
    while time.process_time() < until:
        pass


def at_once(seconds: float) -> Iterator[float]:
    yield seconds


def computed(seconds: float) -> Iterator[float]:
    compute(seconds)
    yield seconds


def endless() -> Iterator[int]:
    while True:
        yield os.getpid()


def test_arrays_come_as_they_were_and_can_be_written_to() -> None:
    found = list(isolation.stream(pictures, 5))
    assert all(np.array_equal(f, picture(i)) for i, f in enumerate(found))
    assert all(f.flags.writeable for f in found)


def test_a_child_is_kept() -> None:
    assert isolation.call(os.getpid) == isolation.call(os.getpid) != os.getpid()


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGKILL])
def test_a_crash_is_told_with_its_signal_after_all_that_came_before(number: signal.Signals) -> None:
    found = isolation.stream(crash, 3, number)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(isolation.ChildLost, match=number.name):
        next(found)
    assert isolation.call(os.getpid) > 0


@pytest.mark.parametrize(("compute", "waited"), [(True, "[1-4]"), (False, "4")])
def test_work_that_gives_no_sign_is_ended_and_slow_work_that_does_is_not(
    compute: bool, waited: str
) -> None:
    """What waits, for a disk or a network, gets four times as long as what computes, and so does
    what seldom has its turn."""
    found = isolation.stream(hang, 3, compute, timeout_s=1.0)
    assert next(found) == 3  # 1.8 s of work, with a sign of life in between
    with pytest.raises(isolation.ChildLost, match=f"no progress for {waited} s") as caught:
        next(found)
    assert caught.value.hung


def test_without_processor_times_a_child_that_gives_no_sign_counts_as_computing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As on macOS, which has no /proc."""
    monkeypatch.setattr("segpipe.runtime.isolation.process._PROCESSES", "/nowhere")
    found = isolation.stream(hang, 1, False, timeout_s=1.0)
    assert next(found) == 1
    with pytest.raises(isolation.ChildLost, match="no progress for 1 s"):
        next(found)


def test_the_time_out_begins_when_the_reader_is_ready() -> None:
    assert list(isolation.stream(at_once, 2.0, timeout_s=0.5, ready=compute)) == [2.0]
    # A child that was kept, too.
    assert list(isolation.stream(at_once, 2.0, timeout_s=0.5, ready=compute)) == [2.0]
    with pytest.raises(isolation.ChildLost, match="no progress for"):
        list(isolation.stream(computed, 4.0, timeout_s=0.5))


def test_imports_of_a_models_preprocessing_are_no_hang(tmp_path: Path) -> None:
    """torchvision's resize brings torch: more than a second of processor time before the first
    frame."""
    for number in range(3):
        Image.fromarray(picture(number)).save(tmp_path / f"{number}.png")
    (shard,) = ImageFolder.open(sorted(tmp_path.iterdir())).shards(10)
    preprocessing = Preprocessing(height=32, width=64, backend="torchvision")
    isolation.end_all()
    inputs = list(
        ShardReader(
            ReadRequest(shard, Sampling(), PLAIN, preprocessing), ReadSettings(timeout_s=0.7)
        ).frames()
    )
    assert [i.pixels.shape for i in inputs if isinstance(i, ModelInput)] == [(32, 64, 3)] * 3


def test_error_numbers_that_a_system_lacks_are_left_out() -> None:
    """macOS has no EREMOTEIO, others no EDQUOT."""
    script = """
import errno
del errno.EREMOTEIO, errno.EDQUOT, errno.EHOSTDOWN
import segpipe.cli, segpipe.pipeline.run
from segpipe.core.errors import is_no_room, is_transient
assert is_transient(OSError(errno.EIO, "x")) and is_no_room(OSError(errno.ENOSPC, "x"))
"""
    subprocess.run([sys.executable, "-c", script], check=True)


def test_an_error_is_raised_here_as_it_was_there() -> None:
    for transient in (True, False):
        with pytest.raises(SourceError, match="no such thing") as caught:
            list(isolation.stream(fail, transient))
        assert caught.value.transient is transient


def test_a_consumer_that_stops_ends_the_child() -> None:
    found = isolation.stream(endless)
    child = next(found)
    found.close()
    with pytest.raises(ProcessLookupError):
        os.kill(child, 0)


def test_a_child_ends_with_its_parent() -> None:
    script = (
        "import os, time\nfrom segpipe.runtime import isolation\nprint(isolation.call(os.getpid), "
        "flush=True)\ntime.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    wait_until(lambda: is_gone(child), "the end of the child")


@pytest.fixture
def sabotage(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    isolation.end_all()
    monkeypatch.syspath_prepend(str(SABOTAGE))
    monkeypatch.setenv("SEGPIPE_READER_SANDBOX", "off")  # it leaves marks beside the footage
    yield monkeypatch
    isolation.end_all()


def test_the_sabotage_of_these_tests_is_in_force() -> None:
    """Python only prints what goes wrong in it, and the tests would see good footage."""
    environment = os.environ | {"PYTHONPATH": f"{SABOTAGE}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", "", "segpipe.runtime.isolation.serve"]
    assert (
        subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stderr
        == ""
    )


def run(footage: Path, out: Path, *flags: str) -> int:
    from segpipe.cli import main

    return main(["run", str(footage), "-o", str(out), "--set", "model.source=fake:", "-q", *flags])


def test_images_that_crash_or_hang_are_failed_rows_and_the_others_are_done(
    tmp_path: Path, sabotage: pytest.MonkeyPatch
) -> None:
    sabotage.setattr("segpipe.runtime.isolation.child.PATIENCE", 100)  # on a busy machine, too
    folder = tmp_path / "footage"
    folder.mkdir()
    names = [
        "a.png",
        "b-segfault.png",
        "c.png",
        "d-hang.png",
        "e.png",
        "f-segfault.png",
        "g-segfault.png",
        "h.png",
        "i-once.png",
    ]
    for number, name in enumerate(names):
        Image.fromarray(picture(number)).save(folder / name)
    assert run(folder, tmp_path / "out", "--set", "read.timeout_s=1") == 6
    rows = {Path(r["uri"]).name: r for r in snapshot(tmp_path / "out")["frames"]}
    assert sorted(rows) == names
    assert {n for n, r in rows.items() if r["status"] == "ok"} == {
        "a.png",
        "c.png",
        "e.png",
        "h.png",
        "i-once.png",
    }
    assert "crashed (SIGSEGV)" in rows["b-segfault.png"]["error"]
    assert "no progress for" in rows["d-hang.png"]["error"]
    # What hit the time-out would do so again; what crashed may have lacked memory.
    assert rows["d-hang.png"]["error_class"] == "permanent"
    crashed = [r for name, r in rows.items() if "segfault" in name]
    assert {r["error_class"] for r in crashed} == {"transient"}


@pytest.mark.parametrize("frames", ["0,17,39", "10,11,12,13,14"])
def test_frames_of_a_video_that_crash_cost_themselves(
    frames: str, tmp_path: Path, sabotage: pytest.MonkeyPatch
) -> None:
    video = make_video(tmp_path / "clip.mp4")
    flags = ("--set", "store.frames_per_shard=10")
    assert run(video, tmp_path / "whole", *flags) == 0
    isolation.end_all()
    sabotage.setenv("SABOTAGE_FRAMES", frames)
    assert run(video, tmp_path / "out", *flags) == 6
    whole, out = snapshot(tmp_path / "whole"), snapshot(tmp_path / "out")
    bad = {int(n) for n in frames.split(",")}
    failed = {r["frame_index"] for r in out["frames"] if r["status"] == "error"}
    assert len(out["frames"]) == 40
    assert bad <= failed
    assert len(failed) <= 2 * len(bad)  # more are given up at once while crashes go on
    # But none of the next group of pictures.
    assert {f // 10 for f in failed} == {f // 10 for f in bad}
    masks = {r["frame_id"]: r for r in whole["masks"]}
    assert all(r == masks[r["frame_id"]] for r in out["masks"])
    assert len(out["masks"]) == 40 - len(failed)
    # The next run tries them again, and ends where an undisturbed run would have.
    isolation.end_all()
    sabotage.delenv("SABOTAGE_FRAMES")
    assert run(video, tmp_path / "out", *flags) == 0
    assert snapshot(tmp_path / "out") == whole


def test_decoder_threads_blame_no_frame_before_the_bad_one(
    tmp_path: Path, sabotage: pytest.MonkeyPatch
) -> None:
    video = make_video(tmp_path / "clip.mp4", frames=60, gop=50)
    sabotage.setenv("SABOTAGE_FRAMES", "40")
    assert run(video, tmp_path / "out", "--set", "worker.decode_threads=4") == 6
    assert {
        r["frame_index"] for r in snapshot(tmp_path / "out")["frames"] if r["status"] == "error"
    } == {40}


def test_a_picture_that_hangs_costs_its_group_and_a_second_one_the_shard(
    tmp_path: Path, sabotage: pytest.MonkeyPatch
) -> None:
    video = make_video(tmp_path / "clip.mp4", frames=60, gop=10)
    sabotage.setenv("SABOTAGE_HANGS", "13,35")
    assert run(video, tmp_path / "out", "--set", "read.timeout_s=1") == 6
    failed = {
        r["frame_index"] for r in snapshot(tmp_path / "out")["frames"] if r["status"] == "error"
    }
    assert failed == {*range(13, 20), *range(35, 60)}


def test_what_crashed_the_run_does_not_end_report_overlay_or_verify(
    tmp_path: Path, sabotage: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from segpipe.cli import main

    folder, out = tmp_path / "footage", tmp_path / "out"
    folder.mkdir()
    for number, name in enumerate(["a-segfault.png", "b.png"]):
        Image.fromarray(picture(number)).save(folder / name)
    assert run(folder, out) == 6
    assert main(["report", str(out), "-o", str(tmp_path / "page.html")]) == 0
    assert "a-segfault.png" in (tmp_path / "page.html").read_text()
    assert main(["verify", str(out), "--footage"]) == 0
    assert main(["overlay", str(out), "-o", str(tmp_path / "x.mp4")]) != 0
    assert "crashed (SIGSEGV)" in capsys.readouterr().err


def hungry(size: int) -> Iterator[int]:
    yield len(bytearray(size))


def test_a_file_that_wants_all_the_memory_gets_an_error() -> None:
    with pytest.raises(MemoryError):
        list(isolation.stream(hungry, 3 * 10**9))
    assert list(isolation.stream(hungry, 10**8)) == [10**8]  # and the child goes on


def big_library(size: int) -> None:
    """An import that keeps memory, as transformers and torch do."""
    imported.append(bytearray(10**9))


imported: list[bytearray] = []


def test_what_libraries_take_is_not_taken_from_the_footage() -> None:
    for _ in range(2):  # in a child that was kept too
        assert list(isolation.stream(hungry, 15 * 10**8, ready=big_library)) == [15 * 10**8]
    with pytest.raises(MemoryError):
        list(isolation.stream(hungry, 3 * 10**9))


def test_a_hang_is_told_with_the_place_in_the_code() -> None:
    patience = isolation.stream(waits, timeout_s=0.5)
    with pytest.raises(
        isolation.ChildLost,
        match=r"no progress for 2 s \(in waits of segpipe/sources/stream/backoff.py\) and",
    ):
        list(patience)


def waits() -> Iterator[None]:
    yield
    for _ in BackOff(1000.0, 1000.0, lambda: 1.0).waits():
        pass


def test_a_table_of_sixty_million_samples_is_refused_in_little_memory(tmp_path: Path) -> None:
    """A few bytes of an MP4 that make its reader build a table of gigabytes."""
    data = bytearray(make_video(tmp_path / "clip.mp4").read_bytes())
    at = data.index(b"stsz") + 8  # after version and flags: one size for all, and how many
    data[at : at + 8] = (100).to_bytes(4, "big") + (60_000_000).to_bytes(4, "big")
    for name, entry in ((b"stts", 8), (b"stsc", 12)):
        spot = data.index(name) + entry
        data[spot : spot + 4] = (60_000_000).to_bytes(4, "big")
    (tmp_path / "bomb.mp4").write_bytes(data)
    (tmp_path / "clip.mp4").unlink()
    make_video(tmp_path / "good.mp4", frames=5)
    assert run(tmp_path, tmp_path / "out") == 6
    rows = snapshot(tmp_path / "out")["frames"]
    assert sum(r["status"] == "ok" for r in rows) == 5
