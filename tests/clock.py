"""Time in tests. No verdict depends on how busy the machine is: what takes long is judged by
processor time or by counts, and a wait only ends a true hang."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable

HANG_S = 900.0
"""Nothing that works takes so long, however busy the machine is."""


def wait_until(
    condition: Callable[[], bool], what: str, alive: Callable[[], bool] = lambda: True
) -> None:
    """Wait for a condition, as long as `alive` says that it can still come."""
    until = time.monotonic() + HANG_S
    while not condition():
        assert alive() or condition(), f"{what}: it can't come any more"
        assert time.monotonic() < until, f"{what}: it didn't come in {HANG_S:.0f} s"
        time.sleep(0.05)


def is_gone(pid: int) -> bool:
    """Whether a process has ended, or is a zombie that nobody has waited for (Linux)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def processor_s() -> float:
    """Processor time of this process and of its children that have ended, in seconds."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def processor_s_of(pid: int) -> float:
    """Processor time of a process that is still there, in seconds (Linux)."""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
