"""A child process as its parent sees it."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from multiprocessing import Pipe
from typing import IO, Any

from segpipe.errors import ReaderFailed, SegpipeError, one_line
from segpipe.isolation.messages import ITEM, receive, send

log = logging.getLogger(__name__)
_POLL_S = 0.2
PATIENCE = 4
_PROCESSES = "/proc"
_LAST_BYTES = 4096


class ChildLost(SegpipeError):
    """The child process crashed, or hung (`hung`), while it worked. Another try may go well: the machine's memory may have been
    short."""

    transient = True

    def __init__(self, message: str, hung: bool = False) -> None:
        super().__init__(message)
        self.hung = hung


class Cancelled(SegpipeError):
    """This process doesn't want the rest."""


class Child:
    """A process that runs generator functions, one at a time."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.started = False
        """Whether a sign of life has come."""
        try:
            self.pipe, theirs = Pipe()
            self.said = _scratch()
            with theirs:
                self.process = _start(theirs.fileno(), self.said)
        except OSError as error:  # no more processes, files or memory
            raise ReaderFailed(_failed(one_line(error))) from None

    def usable(self) -> bool:
        """Whether it is ours (not a fork's) and alive."""
        return self.owner == os.getpid() and self.process.poll() is None

    def send(self, function: Callable[..., object], arguments: tuple[Any, ...]) -> None:
        """Begin a call; `function` is a module's own, and goes by its name."""
        try:
            send(self.pipe, ITEM, (function.__module__, function.__qualname__, arguments), 0.0)
        except OSError:
            raise self._lost() from None

    def receive(self, timeout_s: float, cancelled: Callable[[], bool]) -> tuple[int, Any, float]:
        """The next message: kind, content, and the seconds of work behind it. Raises ChildLost; ReaderFailed before the first one.

        A child that computes for `timeout_s` without a sign hangs. One that waits, for a disk that has to spin up say, gets
        `PATIENCE` times as long; where the system doesn't tell the two apart, it counts as computing.
        """
        waited, worked = 0.0, self._worked_s()
        while not self.pipe.poll(_POLL_S):
            waited += _POLL_S
            if cancelled():
                raise Cancelled("cancelled")
            if waited >= timeout_s * PATIENCE or (waited >= timeout_s and self._computes(worked, timeout_s / 4)):
                if not self.started:
                    raise ReaderFailed(_failed(f"no sign of it for {waited:.0f} s{self._last_words()}"))
                raise ChildLost(f"reading made no progress for {waited:.0f} s and was ended", hung=True)
        try:
            message = receive(self.pipe)
        except (EOFError, OSError):
            raise self._lost() from None
        if not self.started:
            self.started = True
            self._forget()
        return message

    def _computes(self, before_s: float | None, least_s: float) -> bool:
        """Whether it took `least_s` seconds of processor time since it had taken `before_s`, as far as can be told."""
        now_s = self._worked_s()
        return before_s is None or now_s is None or now_s - before_s >= least_s

    def _worked_s(self) -> float | None:
        """Seconds of processor time so far; None where the system doesn't tell."""
        try:
            with open(f"{_PROCESSES}/{self.process.pid}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, IndexError, ValueError):
            return None

    def _lost(self) -> ChildLost | ReaderFailed:
        death = self.death()
        return ChildLost(f"reading {death}") if self.started else ReaderFailed(_failed(f"it {death}{self._last_words()}"))

    def _last_words(self) -> str:
        """The last line that the process wrote while it started."""
        if self.said is None:
            return ""
        self.said.seek(max(0, os.fstat(self.said.fileno()).st_size - _LAST_BYTES))
        lines = self.said.read(_LAST_BYTES).decode("utf-8", "replace").split("\n")
        words = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f" ({words[:200]})" if words else ""

    def _forget(self) -> None:
        if self.said is not None:
            self.said.close()
            self.said = None

    def death(self) -> str:
        """What ended the process."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        code = self.process.returncode
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in {s.value for s in signal.Signals} else str(-code)
            return f"crashed ({name})"
        return f"ended unexpectedly (exit code {code})"

    def end(self) -> None:
        """Kill it, if it is ours."""
        if self.owner == os.getpid():
            # With the programs that it started. On macOS a group of which only a dead process is left may not be killed.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
        self._forget()
        self.pipe.close()


def _scratch() -> IO[bytes] | None:
    """A file for what the process says while it starts; None where that is for the terminal, or there is no room for it."""
    if log.isEnabledFor(logging.DEBUG):
        return None
    with contextlib.suppress(OSError):
        return tempfile.TemporaryFile()
    return None


def _start(descriptor: int, errors: IO[bytes] | None) -> subprocess.Popen[bytes]:
    """The process, which leads a group of its own. What it writes to `errors` while it starts is kept; from its first sign on, it
    writes there no more."""
    loud = log.isEnabledFor(logging.DEBUG)
    # -P: a file json.py in the folder where somebody runs segpipe is not to be imported. Modules are found as here.
    command = [sys.executable, "-P", "-m", "segpipe.isolation.serve", str(descriptor), *([] if loud else ["hush"])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path if p)}
    return subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors or (None if loud else subprocess.DEVNULL),
        pass_fds=[descriptor], env=environment, process_group=0,
    )  # fmt: skip


def _failed(why: str) -> str:
    return (
        f"the process that reads footage can't be started: {why}; mend that, or read in the run's own process with "
        "--set read.isolate=false, where a file that crashes a codec ends the run"
    )
