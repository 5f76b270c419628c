"""A process that reads footage and was taken over by it: what it may send, and what it reaches."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pytest

from segpipe.core.config.job import ReadSettings, Sampling
from segpipe.core.types import (
    FileStamp,
    FrameFailure,
    FrameRef,
    InputGeometry,
    ModelInput,
    Shard,
    SourceInfo,
    UInt8,
)
from segpipe.pipeline import read
from segpipe.pipeline.arrivals import check_input, check_shards
from segpipe.runtime import confined, isolation
from segpipe.runtime.isolation.messages import ITEM
from segpipe.sources import FoundSource
from segpipe.sources.decoding import PLAIN
from segpipe.telemetry.locate import NOWHERE
from tests.footage import picture

Call = Callable[..., tuple[int, str, str]]
INFO = SourceInfo("abc", "video", "/card/clip.mp4")
REF = FrameRef("abc:1", "abc", "/card/clip.mp4")
VIEW = InputGeometry(96, 160, 0.5, 0.5, y1=96, x1=160)


@pytest.fixture
def own_readers() -> Iterator[None]:
    """Readers with the settings of this test."""
    isolation.end_all()
    yield
    isolation.end_all()


class Opens:
    """A pickle that runs a program where it is opened."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.mark}",)


def pipe() -> Connection:
    """The child's end of the pipe."""
    return Connection(os.dup(int(next(a for a in sys.argv[4:] if a.isdigit()))))


def sends(parts: list[bytes]) -> Iterator[UInt8]:
    for part in parts:
        pipe().send_bytes(part)
    yield picture(1)


def writes(raw: bytes) -> Iterator[UInt8]:
    end = pipe()
    os.write(end.fileno(), raw)
    signal.pause()
    yield picture(1)


def message(content: Any, sizes: Any = (), kind: Any = ITEM, busy_s: Any = 0.0) -> bytes:
    found: bytes = msgpack.packb([kind, busy_s, list(sizes), content])
    return found


def nested(depth: int) -> bytes:
    return b"\x94\x00\xcb" + bytes(8) + b"\x90" + b"\x91" * depth + b"\xc0"


WRONG = {
    "a pickle": [],  # made in the test, which knows its mark
    "no message": [b"\xc1\xff\x00"],
    "nothing": [b""],
    "half a list": [message(None)[:-1]],
    "text instead of an array": [message("array")],
    "an object's name": [message(["Shard", "../../x"])],
    "an array of another type": [message(["f8", [1], 0], [8]), bytes(8)],
    "an array of objects": [message(["O8", [1], 0], [8]), bytes(8)],
    "a shape that isn't its bytes": [message(["u1", [1 << 40, 3], 0], [6]), bytes(6)],
    "a negative shape": [message(["u1", [-2, -3], 0], [6]), bytes(6)],
    "another array's place": [message(["u1", [2, 3], 7], [6]), bytes(6)],
    "arrays of a petabyte": [message(["u1", [1 << 50], 0], [1 << 50])],
    "fewer bytes than said": [message(["u1", [600], 0], [600]), bytes(6)],
    "more bytes than said": [message(["u1", [6], 0], [6]), bytes(600)],
    "sizes that are none": [message(["u1", [6], 0], [-6])],
    "an extension of msgpack": [message(msgpack.ExtType(5, b"x"))],
    "lists a million deep": [nested(1_000_000)],
    "seconds that are none": [message(None, busy_s=float("nan"))],
    "an unknown kind": [message(None, kind=9)],
    "an error of any name": [message(["SystemExit", "0"], kind=3)],
    "an end with content": [message(["x"], kind=2)],
}


@pytest.mark.attack("a decoder that was taken over sends a pickle, or anything else")
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_message_ends_the_reader_and_runs_nothing(what: str, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    parts = WRONG[what] or [pickle.dumps([ITEM, Opens(str(mark)), 0.0])]
    with pytest.raises(isolation.ChildLost, match="sent what it may not send"):
        list(isolation.stream(sends, parts))
    assert not mark.exists()
    assert len(list(isolation.stream(sends, []))) == 1  # the next reader is another one


@pytest.mark.attack("a decoder that was taken over claims a message of a terabyte, or stops in one")
@pytest.mark.parametrize(
    "raw",
    [struct.pack("!iQ", -1, 1 << 40), struct.pack("!i", 1 << 30), struct.pack("!i", 10) + b"half"],
)
@pytest.mark.usefixtures("own_readers")
def test_a_message_without_an_end_is_not_waited_for(
    raw: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("segpipe.runtime.isolation.child.PART_S", 1)
    with pytest.raises(isolation.ChildLost, match=r"sent what it may not|in the middle of a"):
        list(isolation.stream(writes, raw))


def untrue() -> Iterator[FrameFailure]:
    yield FrameRef("abc:1", "abc", "x")  # type: ignore[misc]


def two_answers() -> int:
    pipe().send_bytes(message(1))
    return 2


def silent_types() -> dict[str, set[int]]:
    return {"a": {1}}


@pytest.mark.attack("a decoder that was taken over sends an object that wasn't asked for")
def test_only_what_the_function_returns_is_taken() -> None:
    with pytest.raises(isolation.ChildLost, match="list instead of FrameFailure"):
        list(isolation.stream(untrue))
    with pytest.raises(isolation.ChildLost, match="not one answer"):
        isolation.call(two_answers)
    with pytest.raises(TypeError, match="can't come from the process that reads footage"):
        isolation.call(silent_types)


def both() -> Iterator[np.ndarray[tuple[Any, ...], np.dtype[np.bool_]]]:
    pipe().send_bytes(message(["b1", [2], 0], [2]))
    pipe().send_bytes(b"\x00\xff")
    yield np.array([True])


def test_a_truth_value_is_true_or_false() -> None:
    first = next(isolation.stream(both))
    assert first.view(np.uint8).tolist() == [0, 1]


@pytest.mark.attack("a decoder that was taken over names shards ../../somewhere")
@pytest.mark.parametrize(
    "change",
    [
        {"name": "../../x"},
        {"name": "abc-../x"},
        {"name": "abc-x\n"},
        {"name": "other-1"},
        {"source": replace(INFO, source_id="../x")},
        {"source": replace(INFO, uri="/etc/passwd")},
        {"files": (FileStamp("a", 1, 1, "/etc/passwd"),)},
        {"frame_count": -1},
    ],
)
def test_a_plan_stays_within_its_source(
    change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stamp = FileStamp("a", 1, 1)
    found = FoundSource(INFO, Path("/card/clip.mp4"), (stamp,))
    good = Shard("abc-1", INFO, 5, (stamp,))
    check_shards([good], found)
    bad = replace(good, **change)
    monkeypatch.setattr(isolation, "call_unless_stopped", lambda *_, **__: [bad])
    (planned,) = read.plan_in_child(ReadSettings())(found, Sampling(), 10, NOWHERE, PLAIN)
    assert (planned.name, planned.source) == ("abc-unreadable", INFO)
    assert "reading sent" in planned.unreadable


@pytest.mark.attack("a decoder that was taken over sends pixels that lie outside of the picture")
@pytest.mark.parametrize(
    "change",
    [
        {"height": 1 << 40},
        {"height": 0},
        {"y1": 97},
        {"x0": -1},
        {"y0": 90, "y1": 80},
        {"scale_x": float("nan")},
        {"scale_y": 0.0},
        {"offset_x": float("inf")},
    ],
)
def test_a_geometry_that_fits_no_picture_is_refused(change: dict[str, Any]) -> None:
    good = ModelInput(REF, picture(1), VIEW)
    check_input(good, "abc", 64_000_000)
    with pytest.raises(isolation.ChildLost):
        check_input(replace(good, view=replace(VIEW, **change)), "abc", 64_000_000)
    with pytest.raises(isolation.ChildLost):
        check_input(replace(good, pixels=picture(1)[..., 0]), "abc", 64_000_000)
    with pytest.raises(isolation.ChildLost):
        check_input(replace(good, ref=replace(REF, frame_id="other:1")), "abc", 64_000_000)


def attempts(folder: str, port: int, parent: int) -> dict[str, str]:
    """What a reader that was taken over would try, and what came of it."""
    tries: dict[str, Callable[[], Any]] = {
        "make a file": lambda: open(f"{folder}/new", "w"),  # noqa: SIM115
        "overwrite a file": lambda: open(f"{folder}/old", "r+"),  # noqa: SIM115
        "cut off a file": lambda: os.truncate(f"{folder}/old", 0),
        "remove a file": lambda: os.unlink(f"{folder}/old"),
        "rename a file": lambda: os.rename(f"{folder}/old", f"{folder}/other"),
        "make a folder": lambda: os.mkdir(f"{folder}/folder"),
        "make a link": lambda: os.symlink("/", f"{folder}/link"),
        "through a program": lambda: subprocess.run(
            ["sh", "-c", f"echo x > {folder}/old"], check=True, stderr=subprocess.DEVNULL
        ),
        "connect": lambda: socket.create_connection(("127.0.0.1", port), 5),
        "send a datagram": lambda: socket.socket(type=socket.SOCK_DGRAM).sendto(
            b"x", ("127.0.0.1", port)
        ),
        "connect to a program here": lambda: socket.socket(socket.AF_UNIX),
        "end the parent": lambda: os.kill(parent, 0),
        "write to the parent's memory": lambda: open(f"/proc/{parent}/mem", "r+b"),  # noqa: SIM115
    }
    found = {}
    for name, attempt in tries.items():
        try:
            attempt()
        except (OSError, subprocess.CalledProcessError) as error:
            found[name] = type(error).__name__
        else:
            found[name] = "done"
    return found


def confinement() -> str:
    return str(sys.modules["__main__"].given_up)


def scratch_works() -> bool:
    with tempfile.TemporaryDirectory() as folder, open(f"{folder}/x", "w") as file:
        file.write("x")
    subprocess.run(["true"], stdin=subprocess.DEVNULL, check=True)
    return True


@pytest.mark.attack("a decoder that was taken over writes, connects, or reaches the run")
@pytest.mark.usefixtures("own_readers")
def test_a_reader_can_only_read(tmp_path: Path) -> None:
    if isolation.call(confinement) == "not confined":
        pytest.skip("this kernel has neither Landlock nor seccomp")
    (tmp_path / "old").write_text("as it was")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0)
        port = server.getsockname()[1]
        found = isolation.call(attempts, str(tmp_path), port, os.getpid())
        with pytest.raises(BlockingIOError):
            server.accept()
    given_up = isolation.call(confinement)
    writing = [k for k in found if "a f" in k or k in ("make a link", "through a program")]
    if "no writing" in given_up:
        assert {k: found[k] for k in writing if found[k] == "done"} == {}
        assert (tmp_path / "old").read_text() == "as it was"
        assert [p.name for p in tmp_path.iterdir()] == ["old"]
        assert found["write to the parent's memory"] != "done"
    if "no network" in given_up:
        assert {k for k in found if "connect" in k or "send" in k if found[k] == "done"} == set()
    assert isolation.call(scratch_works)


def looks_up(port: int) -> Iterator[str]:
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        yield str(connection.getpeername()[1])


@pytest.mark.usefixtures("own_readers")
def test_a_streams_reader_has_the_network_and_no_other_has() -> None:
    if "no network" not in isolation.call(confinement):
        pytest.skip("this kernel has no seccomp")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert list(isolation.stream(looks_up, port, network=True)) == [str(port)]
        with pytest.raises(PermissionError):  # in another process, though that one is idle
            list(isolation.stream(looks_up, port))


@pytest.mark.usefixtures("own_readers")
def test_what_the_reader_gave_up_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    from segpipe.runtime.isolation.child import _say_once

    _say_once.cache_clear()
    with caplog.at_level(logging.INFO, "segpipe"):
        for _ in range(2):
            isolation.call(os.getpid)
            isolation.end_all()
    said = [r.getMessage() for r in caplog.records if "confined" in r.getMessage()]
    assert len(said) == 1
    assert said[0].startswith("the process that reads footage is ")


@pytest.mark.usefixtures("own_readers")
def test_a_kernel_without_landlock_and_seccomp_reads_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Without:
        def prctl(self, option: int, *_: object) -> int:
            return 0 if option == 38 else -1

        def syscall(self, *_: object) -> int:
            return -1

    monkeypatch.setattr(confined.ctypes, "CDLL", lambda *_, **__: Without())
    assert confined.confine(False, str(tmp_path)) == "not confined"
    monkeypatch.undo()
    monkeypatch.setenv("SEGPIPE_READER_SANDBOX", "off")
    assert isolation.call(confinement) == "not confined"


def scratch() -> str:
    return tempfile.gettempdir()


@pytest.mark.usefixtures("own_readers")
def test_the_readers_own_folder_goes_with_it() -> None:
    folder = Path(isolation.call(scratch))
    assert folder.is_dir()
    isolation.end_all()
    assert not folder.exists()
