"""A child process as its parent sees it."""

from __future__ import annotations

from collections.abc import Callable
from multiprocessing import Pipe
from typing import Any

from segpipe.core.errors import ReaderFailed, SegpipeError, one_line
from segpipe.runtime.isolation.messages import ITEM, receive, send
from segpipe.runtime.isolation.process import ChildProcess

_POLL_S = 0.2
PATIENCE = 4


class ChildLost(SegpipeError):
    """The child process crashed, or hung (`hung`), while it worked. Another try may go well: the
    machine's memory may have been short."""

    transient = True

    def __init__(self, message: str, hung: bool = False) -> None:
        super().__init__(message)
        self.hung = hung


class Cancelled(SegpipeError):
    """This process doesn't want the rest."""


class Child:
    """A process that runs generator functions, one at a time."""

    def __init__(self) -> None:
        self.started = False
        """Whether a sign of life has come."""
        try:
            self.pipe, theirs = Pipe()
            with theirs:
                self.process = ChildProcess(theirs.fileno())
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
            send(
                self.pipe,
                ITEM,
                (function.__module__, function.__qualname__, arguments, before),
                0.0,
            )
        except OSError:
            raise self._lost() from None

    def receive(self, timeout_s: float, cancelled: Callable[[], bool]) -> tuple[int, Any, float]:
        """The next message: kind, content, and the seconds of work behind it. Raises ChildLost;
        ReaderFailed before the first one.

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
                if not self.started:
                    raise ReaderFailed(
                        _failed(f"no sign of it for {waited:.0f} s{self.process.last_words()}")
                    )
                where = self.process.where()
                raise ChildLost(
                    f"reading made no progress for {waited:.0f} s{where} and was ended", hung=True
                )
        try:
            message = receive(self.pipe)
        except (EOFError, OSError):
            raise self._lost() from None
        self.started = True
        return message

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


def _failed(why: str) -> str:
    return (
        f"the process that reads footage can't be started: {why}; repair that, or read in the "
        "run's own process with "
        "--set read.isolate=false, where a file that crashes a codec ends the run"
    )
