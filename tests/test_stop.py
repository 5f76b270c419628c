"""SIGTERM ends a run within ten seconds wherever it stands: while it looks at footage, plans, or reads what an earlier run left."""

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

from segpipe import isolation, open_dataset, run, stopping
from segpipe.config import ReadSettings, Sampling, StoreSettings, make_job
from segpipe.errors import Stopped
from segpipe.reading import plan_in_child
from segpipe.sources.decoding import PLAIN
from segpipe.store import Store
from segpipe.store.resume import Known, reconcile
from segpipe.telemetry.locate import NOWHERE
from tests.conftest import ROOT
from tests.footage import make_video, picture
from tests.test_run import FAKE

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
    ("kind", "variable", "seconds"), [("photos", "SABOTAGE_EXIF_S", 0.05), ("video", "SABOTAGE_PACKET_S", 0.2)]
)
def test_a_run_that_looks_at_much_slow_footage_ends(kind: str, variable: str, seconds: float, tmp_path: Path) -> None:
    """It takes 30 or 40 seconds until the first frame is read."""
    command = [sys.executable, "-m", "segpipe", "run", str(footage(tmp_path / "in", kind)), "-o", str(tmp_path / "out"), *FAKE]
    environment = os.environ | {"PYTHONPATH": f"{SABOTAGE}{os.pathsep}{ROOT}", variable: str(seconds)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    until = time.monotonic() + 60
    while not (tmp_path / "out" / "sources").is_dir():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until
        time.sleep(0.1)
    time.sleep(3)  # the survey's child has started
    process.send_signal(signal.SIGTERM)
    since = time.monotonic()
    _, errors = process.communicate(timeout=120)
    assert time.monotonic() - since < 10
    assert process.returncode == 143
    assert errors.startswith("segpipe: stopped; what was committed stays")
    assert open_dataset(tmp_path / "out").arrow("frames").num_rows == 0
    assert not list((tmp_path / "out" / "sources").iterdir())  # nothing is noted as found out


def test_a_plan_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    isolation.end_all()
    monkeypatch.syspath_prepend(str(SABOTAGE))
    monkeypatch.setenv("SABOTAGE_PACKET_S", "0.2")
    video = make_video(tmp_path / "clip.mp4", frames=200)
    timer = threading.Timer(3.0, stopping.STOP.set)
    timer.start()
    since = time.monotonic()
    with pytest.raises(Stopped):
        plan_in_child(ReadSettings())(video, Sampling(), 512, NOWHERE, PLAIN)
    assert 3 <= time.monotonic() - since < 10


def test_what_an_earlier_run_left_is_not_read_to_the_end(tmp_path: Path, segpipe: Call) -> None:
    video, out = make_video(tmp_path / "clip.mp4"), tmp_path / "out"
    assert segpipe("run", video, "-o", out, *FAKE)[0] == 0
    store = Store(out, StoreSettings(), open_dataset(out).classes)
    known = Known(store)
    plan = [r.shard() for records in known.records.values() for r in records]
    assert not reconcile(store, known, plan, False).todo
    stopping.STOP.set()
    for work in (
        lambda: Known(store),
        lambda: known.put_right(store, lambda _: NOWHERE),
        lambda: reconcile(store, known, plan, False),
    ):
        with pytest.raises(Stopped):
            work()


def test_a_run_that_was_stopped_while_the_model_was_loaded_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = make_job(
        {"inputs": [str(make_video(tmp_path / "clip.mp4"))], "output": str(tmp_path / "out"), "model": {"source": "fake:"}}
    )
    load = run.load_worker

    def stopped(*arguments: object) -> object:
        stopping.STOP.set()
        return load(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(run, "load_worker", stopped)
    with pytest.raises(Stopped):
        run.run_job(job)
    assert not (tmp_path / "out").exists()
