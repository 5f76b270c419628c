"""Work that may crash, in a process of its own: FFmpeg and image libraries read what strangers wrote.

A child process runs a generator function of ours and sends what it yields; large arrays travel beside the pickles (protocol 5,
PEP 574), not in them. When the child dies or stops moving, this process learns which it was and goes on. A child that is
idle is kept for the next call, for it takes a second to start. The pipe between them is small, so that a slow consumer
makes the child wait: nothing piles up.
"""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any

from segpipe.errors import SegpipeError

log = logging.getLogger(__name__)
POSSIBLE = os.name == "posix"
_ITEM, _TICK, _END, _ERROR = range(4)
_POLL_S = 0.2
_idle: list[Child] = []
_lock = threading.Lock()


class ChildLost(SegpipeError):
    """The child process crashed or hung while it worked. Another try may go well: the machine's memory may have been short."""

    transient = True


class Cancelled(SegpipeError):
    """This process doesn't want the rest."""


class Child:
    """A process that runs generator functions, one at a time."""

    def __init__(self) -> None:
        self.pipe, theirs = Pipe()
        self.owner = os.getpid()
        # -P: a file json.py in the folder where somebody runs segpipe is not to be imported. Modules are found as here.
        command = [sys.executable, "-P", "-m", "segpipe.isolation_child", str(theirs.fileno())]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path if p)}
        errors = None if log.isEnabledFor(logging.DEBUG) else subprocess.DEVNULL
        self.process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors, pass_fds=[theirs.fileno()], env=environment
        )
        theirs.close()

    def usable(self) -> bool:
        """Whether it is ours (not a fork's) and alive."""
        return self.owner == os.getpid() and self.process.poll() is None

    def send(self, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        """Begin a call; `function` is a module's own, and goes by its name."""
        try:
            send(self.pipe, _ITEM, (function.__module__, function.__qualname__, arguments), 0.0)
        except OSError:
            raise ChildLost(self.death()) from None

    def receive(self, timeout_s: float, cancelled: Callable[[], bool]) -> tuple[int, Any, float]:
        """The next message: kind, content, and the seconds of work behind it."""
        waited = 0.0
        while not self.pipe.poll(_POLL_S):
            waited += _POLL_S
            if cancelled():
                raise Cancelled("cancelled")
            if waited >= timeout_s:
                raise ChildLost(f"reading made no progress for {timeout_s:g} s and was ended")
        try:
            return receive(self.pipe)
        except (EOFError, OSError):
            raise ChildLost(self.death()) from None

    def death(self) -> str:
        """What ended the process."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        code = self.process.returncode
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else str(-code)
            return f"reading crashed ({name})"
        return f"reading ended unexpectedly (exit code {code})"

    def end(self) -> None:
        """Kill it, if it is ours."""
        if self.owner == os.getpid():
            self.process.kill()
            self.process.wait()
        self.pipe.close()


def stream(
    function: Callable[..., Iterator[Any]],
    *arguments: Any,
    timeout_s: float = 30.0,
    cancelled: Callable[[], bool] = lambda: False,
    on_busy: Callable[[float], None] = lambda _: None,
) -> Iterator[Any]:
    """Iterate over `function(*arguments)` in a child process. `function` stands in a module by its name, and calls `alive()`
    at least every few seconds where it works long for one item.

    `on_busy` is told the seconds that the child worked. Raises what the function raises; ChildLost where the child crashed, or gave
    no sign for `timeout_s`; Cancelled soon after `cancelled` says so.
    """
    child = _take()
    clean = False
    try:
        child.send(function, arguments)
        while True:
            kind, content, busy_s = child.receive(timeout_s, cancelled)
            on_busy(busy_s)
            if kind == _ITEM:
                yield content
            elif kind == _END:
                clean = True
                return
            elif kind == _ERROR:
                clean = True
                raise content
    finally:
        _give_back(child) if clean else child.end()


def call(function: Callable[..., Any], *arguments: Any, timeout_s: float = 30.0) -> Any:
    """`function(*arguments)` in a child process. Raises as `stream`."""
    (result,) = stream(_once, function, arguments, timeout_s=timeout_s)  # to the end: a child that is cut off isn't kept
    return result


def _once(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Iterator[Any]:
    yield function(*arguments)


def _take() -> Child:
    with _lock:
        while _idle:
            child = _idle.pop()
            if child.usable():
                return child
    return Child()


def _give_back(child: Child) -> None:
    with _lock:
        if child.usable() and len(_idle) < 2:
            _idle.append(child)
            return
    child.end()


@atexit.register
def _end_all() -> None:
    with _lock:
        while _idle:
            _idle.pop().end()


def send(pipe: Connection, kind: int, content: Any, busy_s: float) -> None:
    """Send a message: a pickle, and after it the arrays that it refers to."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps((kind, content, busy_s), protocol=5, buffer_callback=buffers.append)
    raw = [b.raw() for b in buffers]
    pipe.send_bytes(pickle.dumps([len(r) for r in raw]))
    pipe.send_bytes(body)
    for part in raw:
        if len(part):
            pipe.send_bytes(part)


def receive(pipe: Connection) -> tuple[int, Any, float]:
    """The next message that `send` sent. Arrays in it are writable."""
    parts = [bytearray(n) for n in pickle.loads(pipe.recv_bytes())]
    body = pipe.recv_bytes()
    for part in parts:
        if part:
            pipe.recv_bytes_into(part)
    kind, content, busy_s = pickle.loads(body, buffers=parts)
    return kind, content, busy_s


class Pulse:
    """The child's sign of life, sent at most twice a second."""

    def __init__(self) -> None:
        self.beat: Callable[[], None] | None = None
        self.last = 0.0

    def __call__(self) -> None:
        if self.beat is not None and time.monotonic() - self.last > 0.5:
            self.last = time.monotonic()
            self.beat()


alive = Pulse()
"""Called by long work: "still moving". Does nothing outside a child process."""
