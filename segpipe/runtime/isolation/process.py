"""The process of a child: started, asked what it is at, ended."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO

from segpipe.runtime.isolation.messages import WHERE

log = logging.getLogger(__name__)
_PROCESSES = "/proc"
_LAST_BYTES = 16_384
_ANSWER_S, _POLL_S = 2.0, 0.05
_FRAME = re.compile(r'File "([^"]*)", line \d+ in (\S+)')
_OURS = os.path.dirname(os.path.dirname(os.path.dirname(__file__)))


class ChildProcess:
    """Python running `segpipe.runtime.isolation.serve`, confined to reading. Raises OSError where
    there are no more processes, files or memory."""

    def __init__(self, descriptor: int, network: bool = False) -> None:
        self.owner = os.getpid()
        self.said = _file_for_words()
        self.scratch = tempfile.mkdtemp(prefix="segpipe-reader-")
        """The one folder in which it may write."""
        rights = ["network" if network else "no-network", self.scratch]
        try:
            self.process = _start(descriptor, self.said, rights)
        except OSError:
            shutil.rmtree(self.scratch, ignore_errors=True)
            raise

    def is_alive(self) -> bool:
        """Whether it is ours (not a fork's) and runs."""
        return self.owner == os.getpid() and self.process.poll() is None

    def worked_s(self) -> float | None:
        """Seconds of processor time so far; None where the system doesn't tell."""
        try:
            with open(f"{_PROCESSES}/{self.process.pid}/stat", encoding="ascii") as file:
                fields = file.read().rpartition(")")[2].split()
            return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        except (OSError, IndexError, ValueError):
            return None

    def last_words(self) -> str:
        """The last line that the process wrote while it started."""
        lines = self._written(0).split("\n")
        words = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return f" ({words[:200]})" if words else ""

    def where(self) -> str:
        """The function of ours in which its main thread is, as far as it can still say."""
        if self.said is None:
            return ""
        before = os.fstat(self.said.fileno()).st_size
        self.process.send_signal(WHERE)
        until = time.monotonic() + _ANSWER_S
        while time.monotonic() < until:
            frames = _FRAME.findall(self._written(before).rpartition("most recent call first")[2])
            # The main thread's stack comes last, and is whole.
            if frames and frames[-1][1] == "_run_module_as_main":
                ours = [(file, name) for file, name in frames if file.startswith(_OURS)]
                return f" (in {ours[0][1]} of segpipe{ours[0][0].removeprefix(_OURS)})"
            time.sleep(_POLL_S)
        return ""

    def _written(self, start: int) -> str:
        """What it wrote from a position on, at most the last bytes of it."""
        if self.said is None:
            return ""
        size = os.fstat(self.said.fileno()).st_size
        self.said.seek(max(start, size - _LAST_BYTES))
        return self.said.read(_LAST_BYTES).decode("utf-8", "replace")

    def death(self) -> str:
        """What ended the process."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(2)
        code = self.process.returncode
        if code is None:
            return "stopped in the middle of a message"
        if code < 0:
            known = -code in {s.value for s in signal.Signals}
            return f"crashed ({signal.Signals(-code).name if known else -code})"
        return f"ended unexpectedly (exit code {code})"

    def end(self) -> None:
        """Kill it, if it is ours."""
        if self.owner == os.getpid():
            # With the programs that it started. On macOS a group of which only a dead process is
            # left may not be killed.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.kill()
            self.process.wait()
            with contextlib.suppress(RecursionError):  # folders 3,000 deep, out of spite
                shutil.rmtree(self.scratch, ignore_errors=True)
        if self.said is not None:
            self.said.close()
            self.said = None


def _file_for_words() -> IO[bytes] | None:
    """A file for what the process says while it starts, and when it hangs; None where the terminal
    gets it, or there is no room."""
    if log.isEnabledFor(logging.DEBUG):
        return None
    with contextlib.suppress(OSError):
        return tempfile.TemporaryFile()
    return None


def _start(descriptor: int, errors: IO[bytes] | None, rights: list[str]) -> subprocess.Popen[bytes]:
    """The process, which leads a group of its own. What it writes to `errors` while it starts is
    kept; from its first sign on, it writes there no more."""
    loud = log.isEnabledFor(logging.DEBUG)
    # -P: a file json.py in the folder where somebody runs segpipe is not to be imported. Modules
    # are found as here.
    command = [
        sys.executable,
        "-P",
        "-m",
        "segpipe.runtime.confined",
        "segpipe.runtime.isolation.serve",
        *rights,
        str(descriptor),
        *([] if loud else ["hush"]),
    ]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(os.path.abspath(p) for p in sys.path if p),
        "TMPDIR": rights[-1],
    }
    return subprocess.Popen(  # noqa: S603 - this Python, our own module, and no shell
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors or (None if loud else subprocess.DEVNULL),
        pass_fds=[descriptor],
        env=environment,
        process_group=0,
    )
