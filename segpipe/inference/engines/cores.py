"""The cores of this machine, and threads that stay on one of them."""

from __future__ import annotations

import itertools
import os


def usable_cores() -> int:
    """Cores that this process may use."""
    return (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)
    )


class CorePerThread:
    """Gives each thread that asks a core of its own, in turns."""

    def __init__(self) -> None:
        self._taken = itertools.count()

    def take_one(self) -> None:
        """Keep the calling thread on the next core; nothing happens where the platform can't."""
        if hasattr(os, "sched_setaffinity"):
            cores = sorted(os.sched_getaffinity(0))
            os.sched_setaffinity(0, {cores[next(self._taken) % len(cores)]})
