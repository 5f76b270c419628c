"""A process for reading that can't be started: one clear error that ends the run, and no frame is
blamed for it."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from segpipe import open_dataset
from segpipe.core.errors import ReaderFailed, is_transient
from segpipe.runtime import isolation
from tests.conftest import ROOT
from tests.footage import make_video, picture
from tests.pipeline.test_run import FAKE

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    isolation.end_all()
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "sabotage_start"))
    yield monkeypatch
    isolation.end_all()


def test_a_broken_environment_ends_the_run_with_one_line(
    tmp_path: Path, segpipe: Call, broken: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        Image.fromarray(picture(number)).save(tmp_path / f"{number}.png")
    make_video(tmp_path / "clip.mp4")
    flags = (*FAKE, "--set", "store.frames_per_shard=2")
    code, _, errors = segpipe("run", tmp_path, "-o", tmp_path / "out", *flags)
    assert code == 1
    assert errors.count("\n") == 1
    assert (
        "the process that reads footage can't be started: it ended unexpectedly (exit code 3)"
        in errors
    )
    assert "(libfootage.so.7: cannot open shared object file)" in errors
    assert "--set read.isolate=false" in errors
    assert open_dataset(tmp_path / "out").arrow("frames").num_rows == 0
    code, _, _ = segpipe(
        "run", tmp_path, "-o", tmp_path / "out", *flags, "--set", "read.isolate=false"
    )
    assert code == 0
    assert open_dataset(tmp_path / "out").arrow("frames").num_rows == 46


def test_a_reader_that_breaks_in_the_middle_of_a_run_ends_it_and_blames_no_frame(
    tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known and surveyed: only the shards are left to read."""
    video, out = make_video(tmp_path / "clip.mp4"), tmp_path / "out"
    flags = (*FAKE, "--set", "store.frames_per_shard=10")
    assert segpipe("run", video, "-o", out, *flags)[0] == 0
    for part in list((out / "frames").glob("*.parquet"))[1:]:
        part.unlink()
    isolation.end_all()
    from segpipe.pipeline import shard as pipeline

    original = pipeline.reader_of

    def after_the_plan(*arguments: Any) -> Any:
        isolation.end_all()
        monkeypatch.syspath_prepend(str(ROOT / "tests" / "sabotage_start"))
        return original(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(pipeline, "reader_of", after_the_plan)
        code, _, errors = segpipe("run", video, "-o", out, *flags)
    assert code == 1
    assert errors.count("can't be started") == 1
    assert open_dataset(out).arrow("frames").num_rows == 10
    monkeypatch.undo()
    isolation.end_all()
    assert segpipe("run", video, "-o", out, *flags)[0] == 0
    assert open_dataset(out).arrow("frames").num_rows == 40


def test_a_crash_while_starting_and_a_machine_without_processes_are_told(
    broken: pytest.MonkeyPatch,
) -> None:
    broken.setenv("SABOTAGE_START", "kill")
    with pytest.raises(ReaderFailed, match=r"it crashed \(SIGKILL\) \(libfootage") as caught:
        isolation.call(os.getpid)
    assert not is_transient(caught.value)

    def refused(*_: Any, **__: Any) -> None:
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    broken.setattr(subprocess, "Popen", refused)
    with pytest.raises(ReaderFailed, match="Resource temporarily unavailable"):
        isolation.call(os.getpid)
