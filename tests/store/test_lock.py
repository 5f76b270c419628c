"""Two runs over one dataset: one works, the other says who does; and a dead run holds nothing. In
folders and on S3."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest

from segpipe.core.errors import DatasetBusy
from segpipe.runtime.files.atomic import write_text
from segpipe.runtime.files.paths import AnyPath, path_of, read_bytes
from segpipe.store import exclusive, lock, lock_object
from segpipe.store.lock_object import LockObject, Timing
from segpipe.store.owner import Owner, read_owner
from tests.clock import HANG_S, wait_until
from tests.conftest import ROOT
from tests.footage import make_video
from tests.s3_server import BUCKET, S3, SECRET

Call = Callable[..., tuple[int, str, str]]
FAKE = ("--set", "model.source=fake:", "--set", "read.isolate=false", "-q")
QUICK = Timing(beat_s=0.1, dead_after_s=HANG_S, settle_s=0.3)
"""Hearts beat fast, and none is late enough to be taken for dead, unless it is an hour."""
HELD = f"""
import sys, time
from pathlib import Path
from segpipe.store import lock
from segpipe.runtime.files.atomic import write_text
from segpipe.store.lock_object import Timing
lock.TIMING = Timing({QUICK.beat_s}, {QUICK.dead_after_s}, {QUICK.settle_s})
from segpipe.pipeline import run
waits = Path(sys.argv.pop(1))
def hold(*arguments, **more):
    waits.touch()
    time.sleep({10 * HANG_S})
run.run_shard = hold
from segpipe.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""A run that doesn't come to the end of its first shard."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "TIMING", QUICK)


@pytest.fixture(params=["folder", "folder without flock", "s3"])
def root(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AnyPath:
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
def test_two_runs_at_once(
    where: str, s3: S3, tmp_path: Path, segpipe: Call, caplog: pytest.LogCaptureFixture
) -> None:
    """The second leaves and names the first; when the first is killed, the next one works."""
    clip = make_video(tmp_path / "clip.mp4", frames=10)
    out = (
        tmp_path / "out"
        if where == "folder"
        else f"s3://u:{SECRET.replace('/', '%2F')}@{BUCKET}/two"
    )
    held = subprocess.Popen(
        [sys.executable, "-c", HELD, tmp_path / "waits", "run", clip, "-o", out, *FAKE], cwd=ROOT
    )
    try:
        wait_until(
            (tmp_path / "waits").exists, "the first run's shard", lambda: held.poll() is None
        )

        def note() -> str:
            if where == "folder":
                return (tmp_path / "out" / ".lock").read_text()
            return s3.objects("two/.lock.json").popitem()[1].decode()

        if where == "s3":
            wait_for_beats(note)
        code, _, errors = segpipe("run", clip, "-o", out, *FAKE)
        assert code == 5
        assert f"another run is writing to this dataset: pid {held.pid} on host " in errors
        assert f"since {json.loads(note())['started'][:10]} " in errors
        assert errors.count("\n") == 1
        assert "run" in json.loads(note())["command"]
        assert SECRET.partition("/")[2] not in note()
    finally:
        held.send_signal(signal.SIGKILL)
        held.wait()
    with caplog.at_level(logging.INFO):
        assert segpipe("run", clip, "-o", out, *FAKE)[0] == 0
    assert f"pid {held.pid} on host" in caplog.text
    assert segpipe("run", clip, "-o", out, *FAKE)[0] == 0


def wait_for_beats(note: Callable[[], str]) -> None:
    """Wait for two signs of life of who holds the lock."""
    for _ in range(2):
        last = note()
        wait_until(partial(differs, note, last), "a sign of life")


def differs(note: Callable[[], str], last: str) -> bool:
    return json.loads(note())["beat"] > json.loads(last)["beat"]


def test_held_once_and_let_go(root: AnyPath) -> None:
    with exclusive(root):
        with (
            pytest.raises(DatasetBusy, match=f"pid {os.getpid()} on host .* UTC .* (s|min) ago"),
            exclusive(root),
        ):
            pass
        if (root / lock.OBJECT).exists():
            # By one request: between two of them the note may change.
            wait_for_beats(lambda: read_bytes(root / lock.OBJECT).decode())
        lock.check_held(root)
        with pytest.raises(DatasetBusy), exclusive(root):
            pass
    with exclusive(root):
        lock.check_held(root)


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_flock(
    number: int, tmp_path: Path, segpipe: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
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
def objects(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AnyPath:
    """A place that is locked by a file with heartbeats."""
    if request.param == "s3":
        request.getfixturevalue("s3")
        return path_of(f"s3://{BUCKET}/{tmp_path.name}")
    no_flock(monkeypatch)
    return tmp_path


def long_ago() -> str:
    return (datetime.now(UTC) - timedelta(hours=1)).isoformat()


def test_a_dead_owner(objects: AnyPath, caplog: pytest.LogCaptureFixture) -> None:
    """Dead: silent for long, or a process of this machine that is no more, whatever has its number
    now. Else it lives."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    here = Owner.here()
    dead = [
        away(beat=long_ago()),
        replace(here, pid=gone.pid, process="1"),
        replace(here, process="1"),
        '{"host": "half a no',
    ]
    for owner in dead:
        put(objects, owner)
        caplog.clear()
        with caplog.at_level(logging.INFO), exclusive(objects):
            lock.check_held(objects)
        assert "the lock of a dead run was taken over" in caplog.text
    for make in (away, Owner.here):
        owner = make()
        put(objects, owner)
        with (
            pytest.raises(DatasetBusy, match=f"pid {owner.pid} on host {owner.host}"),
            exclusive(objects),
        ):
            pass


def test_a_clock_that_is_wrong_kills_nobody(
    objects: AnyPath, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An owner's clock may be an hour behind: as long as its heart beats, it lives. Here it beats
    while the other run waits to see that."""
    waits: list[float] = []

    def beat(seconds: float) -> None:
        waits.append(seconds)
        put(objects, away(beat=(datetime.now(UTC) - timedelta(minutes=59)).isoformat()))

    monkeypatch.setattr(lock_object, "time", SimpleNamespace(sleep=beat))
    put(objects, away(beat=long_ago()))
    with pytest.raises(DatasetBusy, match="host elsewhere"), exclusive(objects):
        pass
    assert len(waits) == 1
    assert waits[0] > QUICK.beat_s


class Careless(LockObject):
    """On a store that doesn't know conditions, and says nothing."""

    def _put(self, new: bool = False) -> None:
        super()._put()


class Refusing(LockObject):
    """On a store that refuses what it doesn't know."""

    def _put(self, new: bool = False) -> None:
        if new:
            raise OSError(
                errno.ENOSYS, "A header you provided implies functionality that is not implemented"
            )
        super()._put()


@pytest.mark.parametrize("dead", [False, True], ids=["free", "a dead owner's"])
@pytest.mark.parametrize("kind", [LockObject, Careless, Refusing])
def test_many_at_once_and_one_wins(
    objects: AnyPath, kind: type[LockObject], dead: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that lets its lock settle waits here until all others have put theirs: `settle_s` is
    meant to be longer than that takes. No heart beats meanwhile."""
    if dead:
        put(objects, replace(Owner.here(), process="1"))
    start, over, entered, held, busy = threading.Barrier(5), threading.Event(), [], [], []
    waiting: list[float] = []
    settled = threading.Event()

    def settle(seconds: float) -> None:
        waiting.append(seconds)
        wait_until(lambda: settled.is_set() or seen() >= 5, "all that put a lock")
        settled.set()

    def seen() -> int:
        return len(waiting) + len(entered) + len(busy)

    monkeypatch.setattr(lock_object, "time", SimpleNamespace(sleep=settle))
    calm = replace(QUICK, beat_s=HANG_S)

    def take() -> None:
        start.wait()
        try:
            with kind(objects, objects / lock.OBJECT, calm) as mine:
                entered.append(mine)
                assert over.wait(HANG_S)
                mine.check()
                held.append(mine)
        except DatasetBusy as error:
            busy.append(error)

    threads = [threading.Thread(target=take) for _ in range(5)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: len(entered) + len(busy) == 5, "all of them")
    finally:
        over.set()
    for thread in threads:
        thread.join()
    assert (len(entered), len(held), len(busy)) == (1, 1, 4)
    assert not (objects / lock.OBJECT).exists()


def test_notes_that_are_none() -> None:
    for text in ("", "{", "[]", "7", '{"host": "x"}', Owner.here().text().replace("+00:00", "")):
        assert read_owner(text) is None
