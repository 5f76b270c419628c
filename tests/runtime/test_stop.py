"""SIGTERM ends a run within ten seconds wherever it stands: while it looks at footage, plans, or
reads what an earlier run left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from segpipe import open_dataset
from segpipe.core.config.job import ReadSettings, Sampling, StoreSettings, make_job
from segpipe.core.errors import Stopped
from segpipe.pipeline import prepare, run
from segpipe.pipeline.committed import CommittedShards
from segpipe.pipeline.read import plan_in_child
from segpipe.pipeline.resume import reconcile
from segpipe.runtime import isolation, stopping
from segpipe.sources.decoding import PLAIN
from segpipe.sources.video.names import found_video
from segpipe.store import Store
from segpipe.telemetry.locate import NOWHERE
from tests.clock import HANG_S, wait_until
from tests.conftest import ROOT
from tests.footage import make_video, picture
from tests.pipeline.test_run import FAKE

Call = Callable[..., tuple[int, str, str]]
SABOTAGE = ROOT / "tests" / "sabotage"


@pytest.fixture(autouse=True)
def nobody_asked() -> Iterator[None]:
    yield
    stopping.STOP.clear()
    isolation.end_all()


def footage(folder: Path, kind: str) -> Path:
    folder.mkdir()
    if kind == "video":
        make_video(folder / "clip.mp4", frames=200)
    else:
        for number in range(600):
            Image.fromarray(picture(number, 32, 32)).save(folder / f"{number:03}.jpg")
    return folder


@pytest.mark.parametrize(
    ("kind", "variable", "seconds"),
    [("photos", "SABOTAGE_EXIF_S", 3.0), ("video", "SABOTAGE_PACKET_S", 9.0)],
)
def test_a_run_that_looks_at_much_slow_footage_ends(
    kind: str, variable: str, seconds: float, tmp_path: Path
) -> None:
    """It takes half an hour until the first frame is read."""
    command = [
        sys.executable,
        "-m",
        "segpipe",
        "run",
        str(footage(tmp_path / "in", kind)),
        "-o",
        str(tmp_path / "out"),
        *FAKE,
    ]
    environment = os.environ | {
        "PYTHONPATH": f"{SABOTAGE}{os.pathsep}{ROOT}",
        variable: str(seconds),
    }
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    )
    wait_until((tmp_path / "out" / "sources").is_dir, "the survey", lambda: process.poll() is None)
    time.sleep(3)  # mostly the survey's child has started by then
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=HANG_S)  # half of what the survey would take
    assert process.returncode == 143
    assert errors.startswith("segpipe: stopped; what was committed stays")
    assert open_dataset(tmp_path / "out").arrow("frames").num_rows == 0
    assert not list((tmp_path / "out" / "sources").iterdir())  # nothing is noted as found out


def test_a_plan_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolation.end_all()
    monkeypatch.syspath_prepend(str(SABOTAGE))
    monkeypatch.setenv("SABOTAGE_PACKET_S", "9")  # half an hour for all of them
    video = make_video(tmp_path / "clip.mp4", frames=200)
    timer = threading.Timer(3.0, stopping.STOP.set)
    timer.start()
    with pytest.raises(Stopped):
        plan_in_child(ReadSettings())(found_video(video), Sampling(), 512, NOWHERE, PLAIN)
    assert not isolation._idle  # its child was ended in the middle of the work, not waited for


def test_what_an_earlier_run_left_is_not_read_to_the_end(tmp_path: Path, segpipe: Call) -> None:
    video, out = make_video(tmp_path / "clip.mp4"), tmp_path / "out"
    assert segpipe("run", video, "-o", out, *FAKE)[0] == 0
    store = Store(out, StoreSettings(), open_dataset(out).classes)
    known = CommittedShards(store)
    plan = [r.shard() for records in known.records.values() for r in records]
    assert not reconcile(store, known, plan, False).todo
    stopping.STOP.set()
    for work in (
        lambda: CommittedShards(store),
        lambda: known.refresh_positions(store, lambda _: NOWHERE),
        lambda: reconcile(store, known, plan, False),
    ):
        with pytest.raises(Stopped):
            work()


def test_a_run_that_was_stopped_while_the_model_was_loaded_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = make_job(
        {
            "inputs": [str(make_video(tmp_path / "clip.mp4"))],
            "output": str(tmp_path / "out"),
            "model": {"source": "fake:"},
        }
    )
    load = prepare.load_worker

    def stopped(*arguments: object) -> object:
        stopping.STOP.set()
        return load(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(prepare, "load_worker", stopped)
    with pytest.raises(Stopped):
        run.run_job(job)
    assert not (tmp_path / "out").exists()
