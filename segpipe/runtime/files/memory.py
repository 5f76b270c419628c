"""A bound on the memory that reading other people's files takes.

What a Parquet file says of its size is its author's word: 20 kB may unfold to gigabytes. So the
kernel is asked to refuse more (`RLIMIT_DATA`), while such a file is read.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

from segpipe.core.errors import ConfigError, DatasetError
from segpipe.core.units import bytes_of

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None  # type: ignore[assignment]

MEMORY, VARIABLE = "2GB", "SEGPIPE_DATASET_MEMORY"
"""What reading one file of a dataset may take, and the variable of the environment that says
otherwise."""
_lock = threading.Lock()
_UNSET = (0, 0)
_within = 0
_before = _UNSET
"""The limits of the process outside."""


def most_bytes() -> int:
    """How much memory reading a file may take. Raises ConfigError for a variable that is no
    size."""
    try:
        return bytes_of(os.environ.get(VARIABLE) or MEMORY)
    except ValueError as error:
        raise ConfigError(f"{VARIABLE}: {error}") from None


@contextlib.contextmanager
def bounded_memory() -> Iterator[None]:
    """Within it, this process may take only so much more memory; who asks for more gets a
    DatasetError. Several threads may be within it: together they have that much. On systems that
    don't tell how much a process has, nothing is bounded."""
    _enter()
    try:
        yield
    except MemoryError:
        raise DatasetError(too_much(most_bytes())) from None
    finally:
        _leave()


def too_much(most: int) -> str:
    """What is said of a file that would take more memory."""
    return (
        f"reading it takes more than {most / 1e9:g} GB of memory, so it may be made to fill the "
        f"memory; {VARIABLE} allows more"
    )


def _enter() -> None:
    """Each file that is begun may take as much, beside what is taken by then."""
    global _within, _before
    with _lock:
        _within += 1
        taken = _taken_bytes()
        if taken is None:
            return
        now = resource.getrlimit(resource.RLIMIT_DATA)
        if _within == 1:
            _before = now
        soft, hard = _before
        wanted = taken + most_bytes()
        if _within > 1 and now[0] != resource.RLIM_INFINITY:
            wanted = max(wanted, now[0])
        limits = [wanted, *(n for n in (soft, hard) if n != resource.RLIM_INFINITY)]
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (min(limits), hard))


def _leave() -> None:
    global _within, _before
    with _lock:
        _within -= 1
        if not _within and _before != _UNSET:
            resource.setrlimit(resource.RLIMIT_DATA, _before)
            _before = _UNSET


def _taken_bytes() -> int | None:
    """The data of this process (`VmData`, as the kernel holds it against the limit), or None."""
    if resource is None:
        return None
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError, AttributeError):
        return None
