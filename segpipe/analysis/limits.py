"""What a query may take. One that runs without end, or that takes all memory, ends in one line."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from segpipe.core.errors import EXIT_INTERRUPTED, ConfigError, DatasetError
from segpipe.core.units import seconds_of
from segpipe.store.connection import QUERY_MEMORY, query_memory

if TYPE_CHECKING:
    import duckdb

QUERY_SECONDS = "SEGPIPE_QUERY_SECONDS"
"""The variable that says how long a query may run, such as 30m."""
SECONDS = "1h"
_GRACE_S = 10.0
"""How long a query that is asked to end may go on. A single call of a function isn't asked: after
this the process ends."""
_BESIDE_B = 2**30
"""What Python may take beside DuckDB's own limit."""


@contextmanager
def limited(*connections: duckdb.DuckDBPyConnection) -> Iterator[None]:
    """Queries that run within the block end at the limit of time or memory, with a DatasetError, or
    at Ctrl-C, with KeyboardInterrupt. For the main thread of a command."""
    import duckdb

    watch = _Watch(connections, _seconds())
    try:
        with _memory_limit(query_memory() + _BESIDE_B), watch:
            yield
    except (duckdb.InterruptException, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not watch.why and "interrupted" not in str(error):
            raise
        if watch.why == _TIME:
            raise DatasetError(_said(watch.seconds)) from None
        raise KeyboardInterrupt from None
    except (duckdb.OutOfMemoryException, MemoryError):
        raise DatasetError(
            f"the query needs more than {query_memory() / 1e9:.1f} GB of memory; ask for fewer "
            f"rows or columns, or set {QUERY_MEMORY}, such as {QUERY_MEMORY}=8GB"
        ) from None


def _said(seconds: float) -> str:
    return (
        f"the query ran longer than {seconds:g} s; ask for less, or set {QUERY_SECONDS}, such as "
        f"{QUERY_SECONDS}=3h"
    )


def _seconds() -> float:
    """How long a query may run. Raises ConfigError."""
    try:
        return seconds_of(os.environ.get(QUERY_SECONDS, SECONDS))
    except ValueError as error:
        raise ConfigError(f"{QUERY_SECONDS}: {error}") from None


_TIME, _SIGNAL = "time", "signal"


class _Watch:
    """A thread that interrupts queries at the limit of time, or at Ctrl-C: while DuckDB is in one
    function, Python isn't asked."""

    def __init__(self, connections: tuple[duckdb.DuckDBPyConnection, ...], seconds: float) -> None:
        self.seconds, self.why = seconds, ""
        self._connections = connections
        self._signals, self._signalled = os.pipe()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="segpipe-query", daemon=True)

    def __enter__(self) -> None:
        os.set_blocking(self._signalled, False)
        self._before = signal.set_wakeup_fd(self._signalled, warn_on_full_buffer=False)
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self._before)
        self._over.set()
        os.write(self._signalled, b"\0")
        self._thread.join()
        os.close(self._signals)
        os.close(self._signalled)

    def _watch(self) -> None:
        until = time.monotonic() + self.seconds
        while not self._over.is_set() and not self.why:
            ready, _, _ = select.select([self._signals], [], [], max(0.0, until - time.monotonic()))
            if not ready:
                self.why = _TIME
            elif signal.SIGINT in os.read(self._signals, 64):
                self.why = _SIGNAL
        if self.why:
            self._end()

    def _end(self) -> None:
        for connection in self._connections:
            connection.interrupt()
        if self._over.wait(_GRACE_S):
            return
        said = _said(self.seconds) if self.why == _TIME else "interrupted"
        sys.stderr.write(f"segpipe: {said}\n")
        sys.stderr.flush()
        os._exit(DatasetError.exit_code if self.why == _TIME else EXIT_INTERRUPTED)


@contextmanager
def _memory_limit(size_bytes: int) -> Iterator[None]:
    """Past the limit an allocation fails. DuckDB's own limit doesn't count what functions take."""
    try:
        import resource

        with open("/proc/self/status", encoding="ascii") as file:
            now_b = next(int(line.split()[1]) * 1024 for line in file if "VmData:" in line)
        soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
        most = [n for n in (now_b + size_bytes, soft, hard) if n != resource.RLIM_INFINITY]
        resource.setrlimit(resource.RLIMIT_DATA, (min(most), hard))
    except (ImportError, OSError, ValueError, StopIteration):
        yield  # no such limit on this system
        return
    try:
        yield
    finally:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))
