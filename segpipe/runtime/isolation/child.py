"""A child process as its parent sees it."""

from __future__ import annotations

import functools
import logging
import os
import socket
import struct
from collections.abc import Callable
from multiprocessing import Pipe
from typing import Any

from segpipe.core.errors import ReaderFailed, SegpipeError, one_line
from segpipe.core.text import one_line_text
from segpipe.runtime.isolation.memory import most_bytes
from segpipe.runtime.isolation.messages import BadMessage, receive, send_call
from segpipe.runtime.isolation.process import ChildProcess
from segpipe.runtime.isolation.schema import Reader

log = logging.getLogger(__name__)
_POLL_S = 0.2
PATIENCE = 4
PART_S = 60
"""Seconds without a byte in the middle of a message."""


class ChildLost(SegpipeError):
    """The child process crashed, or hung (`hung`), while it worked. Another try may go well: the
    machine's memory may have been short. But not where it computed for the whole time-out
    (`transient` is False): it would do so again."""

    transient = True

    def __init__(self, message: str, hung: bool = False, transient: bool = True) -> None:
        super().__init__(message)
        self.hung, self.transient = hung, transient


class Cancelled(SegpipeError):
    """This process doesn't want the rest."""


class Child:
    """A process that runs generator functions, one at a time."""

    def __init__(self, network: bool = False) -> None:
        self.network = network
        """Whether it may use the network."""
        self.started = False
        """Whether a sign of life has come."""
        self._most_bytes = most_bytes()
        """It can't honestly send more than it may allocate."""
        try:
            self.pipe, theirs = Pipe()
            _give_up_on_parts(self.pipe.fileno())
            with theirs:
                self.process = ChildProcess(theirs.fileno(), network)
        except OSError as error:  # no more processes, files or memory
            raise ReaderFailed(_failed(one_line(error))) from None

    def usable(self) -> bool:
        """Whether it is ours (not a fork's) and alive."""
        return self.process.is_alive()

    def send(
        self,
        function: Callable[..., object],
        arguments: tuple[Any, ...],
        ready: Callable[..., None] | None = None,
    ) -> None:
        """Begin a call; `function` and `ready`, which is called before it, are a module's own, and
        go by their names."""
        before = "" if ready is None else ready.__qualname__
        try:
            send_call(self.pipe, (function.__module__, function.__qualname__, arguments, before))
        except OSError:
            raise self._lost() from None

    def receive(
        self, reader: Reader, timeout_s: float, cancelled: Callable[[], bool]
    ) -> tuple[int, Any, float]:
        """The next message: kind, content as `reader` reads it, and the seconds of work behind it.
        Raises ChildLost; ReaderFailed before the first one.

        A child that computes for `timeout_s`, by its processor time, without a sign hangs. One that
        waits, for a disk that has to spin up or for its turn on a busy machine, gets `PATIENCE`
        times as long; where the system doesn't tell the two apart, it counts as computing.
        """
        waited, worked = 0.0, self.process.worked_s()
        while not self.pipe.poll(_POLL_S):
            waited += _POLL_S
            if cancelled():
                raise Cancelled("cancelled")
            if waited >= timeout_s * PATIENCE or (
                waited >= timeout_s and self._computes(worked, timeout_s)
            ):
                raise self._hangs(waited, worked, timeout_s)
        try:
            message = receive(self.pipe, reader, self._most_bytes)
        except (EOFError, OSError):
            raise self._lost() from None
        except BadMessage as error:
            raise ChildLost(f"reading sent what it may not send ({error})") from None
        if not self.started and isinstance(message[1], str):
            _say_once(one_line_text(message[1]))
        self.started = True
        return message

    def _hangs(
        self, waited_s: float, before_s: float | None, timeout_s: float
    ) -> ChildLost | ReaderFailed:
        """What is raised of a child that gave no sign for so long, and had worked `before_s` before
        that."""
        if not self.started:
            return ReaderFailed(
                _failed(f"no sign of it for {waited_s:.0f} s{self.process.last_words()}")
            )
        said = f"reading made no progress for {waited_s:.0f} s{self.process.where()} and was ended"
        # Without processor times, a disk that was slow to start looks the same
        again = before_s is None or not self._computes(before_s, timeout_s)
        if not again:
            said += "; raise read.timeout_s, and --retry-failed tries it again"
        return ChildLost(said, hung=True, transient=again)

    def _computes(self, before_s: float | None, least_s: float) -> bool:
        """Whether it took `least_s` seconds of processor time since it had taken `before_s`, as far
        as can be told."""
        now_s = self.process.worked_s()
        return before_s is None or now_s is None or now_s - before_s >= least_s

    def _lost(self) -> ChildLost | ReaderFailed:
        death = self.process.death()
        return (
            ChildLost(f"reading {death}")
            if self.started
            else ReaderFailed(_failed(f"it {death}{self.process.last_words()}"))
        )

    def end(self) -> None:
        """Kill it, if it is ours."""
        self.process.end()
        self.pipe.close()


@functools.cache
def _say_once(given_up: str) -> None:
    log.info("the process that reads footage is %s", given_up)


def _give_up_on_parts(descriptor: int) -> None:
    """Let no message that stops in the middle be waited for without end."""
    with socket.socket(fileno=os.dup(descriptor)) as pipe:
        for direction in (socket.SO_RCVTIMEO, socket.SO_SNDTIMEO):
            pipe.setsockopt(socket.SOL_SOCKET, direction, struct.pack("ll", PART_S, 0))


def _failed(why: str) -> str:
    return (
        f"the process that reads footage can't be started: {why}; repair that, or read in the "
        "run's own process with "
        "--set read.isolate=false, where a file that crashes a codec ends the run"
    )
