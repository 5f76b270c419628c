"""Two runs over one dataset: one works, the other says who does; and a dead run holds nothing. In folders and on S3."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from segpipe.errors import DatasetBusy
from segpipe.store import exclusive, lock
from segpipe.store.files import write_text
from segpipe.store.lock_object import LockObject, Timing
from segpipe.store.owner import Owner, read_owner
from segpipe.store.places import AnyPath, path_of
from tests.conftest import ROOT
from tests.footage import make_video
from tests.s3_server import BUCKET, S3, SECRET

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "--set", "read.isolate=false", "-q")
QUICK = Timing(beat_s=0.1, dead_after_s=1.0, settle_s=0.3)
HELD = """
import sys, time
from pathlib import Path
from segpipe.store import lock
from segpipe.store.files import write_text
from segpipe.store.lock_object import Timing
lock.TIMING = Timing(0.1, 1.0, 0.3)
from segpipe import run
waits = Path(sys.argv.pop(1))
def hold(*arguments, **more):
    waits.touch()
    time.sleep(60)
run.run_shard = hold
from segpipe.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""A run that takes a minute over its first shard."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "TIMING", QUICK)


@pytest.fixture(params=["folder", "folder without flock", "s3"])
def root(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnyPath:
    """A place for a dataset, of each kind that is locked in its own way."""
    if request.param == "s3":
        request.getfixturevalue("s3")
        return path_of(f"s3://{BUCKET}/{tmp_path.name}")
    if request.param == "folder without flock":
        no_flock(monkeypatch)
    return tmp_path


def no_flock(monkeypatch: pytest.MonkeyPatch, number: int = errno.ENOLCK) -> None:
    def flock(file: object, what: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("fcntl.flock", flock)


@pytest.mark.parametrize("where", ["folder", "s3"])
def test_two_runs_at_once(where: str, s3: S3, tmp_path: Path, segpipe: Call, caplog: pytest.LogCaptureFixture) -> None:
    """The second leaves and names the first; when the first is killed, the next one works."""
    clip = make_video(tmp_path / "clip.mp4", frames=10)
    out = tmp_path / "out" if where == "folder" else f"s3://u:{SECRET.replace('/', '%2F')}@{BUCKET}/two"
    held = subprocess.Popen([sys.executable, "-c", HELD, tmp_path / "waits", "run", clip, "-o", out, *FAKE], cwd=ROOT)
    try:
        wait_for((tmp_path / "waits").exists)
        time.sleep(1.2 * QUICK.dead_after_s)  # its heart beats
        code, _, errors = segpipe("run", clip, "-o", out, *FAKE)
        assert code == 5
        assert f"another run is writing to this dataset: pid {held.pid} on host " in errors
        assert f"since {datetime.now(UTC):%Y-%m-%d} " in errors
        assert errors.count("\n") == 1
        note = (tmp_path / "out" / ".lock").read_text() if where == "folder" else s3.objects("two/.lock.json").popitem()[1].decode()
        assert "run" in json.loads(note)["command"]
        assert SECRET.partition("/")[2] not in note
    finally:
        held.send_signal(signal.SIGKILL)
        held.wait()
    with caplog.at_level(logging.INFO):
        assert segpipe("run", clip, "-o", out, *FAKE)[0] == 0
    assert f"pid {held.pid} on host" in caplog.text
    assert segpipe("run", clip, "-o", out, *FAKE)[0] == 0


def test_held_once_and_let_go(root: AnyPath) -> None:
    with exclusive(root):
        with pytest.raises(DatasetBusy, match=f"pid {os.getpid()} on host .* UTC .* s ago"), exclusive(root):
            pass
        time.sleep(1.2 * QUICK.dead_after_s)
        lock.check_held(root)
        with pytest.raises(DatasetBusy), exclusive(root):
            pass
    with exclusive(root):
        lock.check_held(root)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_flock(number: int, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    no_flock(monkeypatch, number)
    clip, out = make_video(tmp_path / "clip.mp4", frames=4), tmp_path / "out"
    assert segpipe("run", clip, "-o", out, *FAKE)[0] == 0
    assert not (out / lock.OBJECT).exists()
    with exclusive(out):
        assert (out / lock.OBJECT).exists()
        assert segpipe("run", clip, "-o", out, *FAKE)[0] == 5
    assert segpipe("run", clip, "-o", out, *FAKE)[0] == 0


def away(**changes: object) -> Owner:
    """A run on another machine."""
    return replace(Owner.here(), host="elsewhere", machine="elsewhere", **changes)


def put(root: AnyPath, owner: Owner | str) -> None:
    write_text(root / lock.OBJECT, owner if isinstance(owner, str) else owner.text())


@pytest.fixture(params=["folder without flock", "s3"])
def objects(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AnyPath:
    """A place that is locked by a file with heartbeats."""
    if request.param == "s3":
        request.getfixturevalue("s3")
        return path_of(f"s3://{BUCKET}/{tmp_path.name}")
    no_flock(monkeypatch)
    return tmp_path


def long_ago() -> str:
    return (datetime.now(UTC) - timedelta(hours=1)).isoformat()


def test_a_dead_owner(objects: AnyPath, caplog: pytest.LogCaptureFixture) -> None:
    """Dead: silent for long, or a process of this machine that is no more, whatever has its number now. Else it lives."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = Owner.here()
    dead = [away(beat=long_ago()), replace(here, pid=gone.pid, process="1"), replace(here, process="1"), '{"host": "half a no']
    for owner in dead:
        put(objects, owner)
        caplog.clear()
        with caplog.at_level(logging.INFO), exclusive(objects):
            lock.check_held(objects)
        assert "the lock of a dead run was taken over" in caplog.text
    for make in (away, Owner.here):
        owner = make()
        put(objects, owner)
        with pytest.raises(DatasetBusy, match=f"pid {owner.pid} on host {owner.host}"), exclusive(objects):
            pass


def test_a_clock_that_is_wrong_kills_nobody(objects: AnyPath) -> None:
    """An owner's clock may be an hour behind: as long as its heart beats, it lives."""
    ended = threading.Event()

    def beat() -> None:
        for number in range(1000):
            put(objects, away(beat=(datetime.now(UTC) - timedelta(hours=1, seconds=-number)).isoformat()))
            if ended.wait(0.05):
                return

    put(objects, away(beat=long_ago()))
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(DatasetBusy, match="host elsewhere"), exclusive(objects):
            pass
    finally:
        ended.set()
        thread.join()


class Careless(LockObject):
    """On a store that doesn't know conditions, and says nothing."""

    def _put(self, new: bool = False) -> None:
        super()._put()


class Refusing(LockObject):
    """On a store that refuses what it doesn't know."""

    def _put(self, new: bool = False) -> None:
        if new:
            raise OSError(errno.ENOSYS, "A header you provided implies functionality that is not implemented")
        super()._put()


@pytest.mark.parametrize("dead", [False, True], ids=["free", "a dead owner's"])
@pytest.mark.parametrize("kind", [LockObject, Careless, Refusing])
def test_many_at_once_and_one_wins(objects: AnyPath, kind: type[LockObject], dead: bool) -> None:
    if dead:
        put(objects, replace(Owner.here(), process="1"))
    start, over, entered, held, busy = threading.Barrier(5), threading.Event(), [], [], []

    def take() -> None:
        start.wait()
        try:
            with kind(objects, objects / lock.OBJECT, QUICK) as mine:
                entered.append(mine)
                over.wait(20)
                mine.check()
                held.append(mine)
        except DatasetBusy as error:
            busy.append(error)

    threads = [threading.Thread(target=take) for _ in range(5)]
    for thread in threads:
        thread.start()
    try:
        wait_for(lambda: len(entered) + len(busy) == 5)
    finally:
        over.set()
    for thread in threads:
        thread.join()
    assert (len(held), len(busy)) == (1, 4)
    assert not (objects / lock.OBJECT).exists()


def test_notes_that_are_none() -> None:
    for text in ("", "{", "[]", "7", '{"host": "x"}', Owner.here().text().replace("+00:00", "")):
        assert read_owner(text) is None


def wait_for(what: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not what():
        assert time.monotonic() < until
        time.sleep(0.02)
