"""What a child process may allocate: a file of a few kilobytes can claim tables of gigabytes."""

from __future__ import annotations

import contextlib
import os

from segpipe.core.errors import ReaderFailed
from segpipe.core.units import bytes_of

MEMORY, VARIABLE = "2GB", "SEGPIPE_READER_MEMORY"
"""What a child may allocate beside the libraries, and the variable of the environment that says
otherwise."""
LEAST = "200MB"
"""With less than this, no photograph of a telephone can be read."""


class ReaderMisconfigured(ReaderFailed):
    """The environment says something of the process that reads footage that makes no sense."""

    exit_code = 2


def most_bytes() -> int:
    """Bytes that a child may allocate beside the libraries. Raises ReaderMisconfigured."""
    text = os.environ.get(VARIABLE, MEMORY)
    try:
        found = bytes_of(text)
    except ValueError as error:
        raise ReaderMisconfigured(f"{VARIABLE}: {error}") from None
    if found < bytes_of(LEAST):
        raise ReaderMisconfigured(
            f"{VARIABLE}: {text!r} is too little to read footage in; give {LEAST} or more, or "
            f"unset it for {MEMORY}"
        )
    return found


def limit_memory(libraries: int = 0) -> None:
    """Past the limit an allocation fails, and with it the one file that wanted it.

    `libraries` are the bytes that imports have taken; transformers and torch alone take most of two
    gigabytes. The system's own limit is the ceiling. Threads' stacks count too, so that each core
    adds to it.
    """
    _limit(libraries + most_bytes() + (os.cpu_count() or 1) * 2**23)


def lift_limit() -> None:
    """No limit but the system's, for what footage has no part in: imports."""
    _limit(None)


def _limit(most: int | None) -> None:
    # Where there is no such limit, reading goes on without
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        _, hard = resource.getrlimit(resource.RLIMIT_DATA)
        wanted = hard if most is None else most
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


def allocated() -> int:
    """Bytes that this process has allocated, as RLIMIT_DATA counts them; 0 where the system doesn't
    tell."""
    with (
        contextlib.suppress(OSError, ValueError),
        open("/proc/self/status", encoding="ascii") as file,
    ):
        for line in file:
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0
