"""How far a command is: a bar on a terminal, and elsewhere a plain line now and then."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from segpipe.core.text import one_line_text

EVERY_S = 30.0
"""Seconds between two lines where standard error is no terminal."""
_QUICK_S = 2.0
"""What takes less shows no bar."""
_POLL_S = 0.5


class Progress:
    """Counts `unit`s up to `total` (None: nobody knows how many) on standard error. Use as a
    context, or `close` it."""

    def __init__(
        self,
        what: str,
        unit: str,
        total: int | None,
        done: int = 0,
        quiet: bool = False,
        delay_s: float = 0.0,
    ) -> None:
        self.what, self.unit = one_line_text(what), unit
        self.total, self.done, self.failed = total, done, 0
        self.quiet, self._told_s = quiet, time.monotonic()
        self._bar: Any = None
        if not quiet and sys.stderr.isatty():
            from tqdm import tqdm

            self._bar = tqdm(
                total=total,
                initial=done,
                unit=unit,
                desc=self.what,
                delay=delay_s,
                dynamic_ncols=True,
                file=sys.stderr,
            )

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def update(self, count: int = 1, failed: int = 0) -> None:
        """So many more are done, and so many of them failed."""
        self.done, self.failed = self.done + count, self.failed + failed
        if self._bar is not None:
            if failed:
                self._bar.set_postfix(failed=self.failed, refresh=False)
            self._bar.update(count)
        elif not self.quiet and time.monotonic() - self._told_s >= EVERY_S:
            self._told_s = time.monotonic()
            print(self._line(), file=sys.stderr, flush=True)

    def reach(self, done: int, total: int) -> None:
        """So many of so many are done."""
        if total != self.total:
            self.total = total
            if self._bar is not None:
                self._bar.total = total
        self.update(done - self.done)

    def close(self) -> None:
        """Leave the bar as it is."""
        if self._bar is not None:
            self._bar.close()

    def _line(self) -> str:
        if self.unit == "%":
            return f"segpipe: {self.what}: {self.done} % of a query"
        counted = (
            f"{self.done} {self.unit}s"
            if self.total is None
            else f"{self.done} of {self.total} {self.unit}s"
        )
        share = f" ({100 * self.done // self.total} %)" if self.total else ""
        return f"segpipe: {self.what}: {counted}{share}" + (
            f", {self.failed} failed" if self.failed else ""
        )


class Queries(Protocol):
    """A DuckDB connection, as far as it matters here."""

    def query_progress(self) -> float:
        """Percent of the query in work; -1 where none is, or nobody knows."""


@contextmanager
def query_progress(what: str, connection: Queries, quiet: bool = False) -> Iterator[None]:
    """How far the queries are that DuckDB runs meanwhile on `connection`, each in percent."""
    over = threading.Event()

    def watch() -> None:
        with Progress(what, "%", 100, quiet=quiet, delay_s=_QUICK_S) as progress:
            while not over.wait(_POLL_S):
                progress.reach(max(0, int(connection.query_progress())), 100)

    thread = threading.Thread(target=watch, name="segpipe-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def checking(what: str, quiet: bool = False) -> Progress:
    """The progress of a verification, which tells `reach`; none is shown of a quick one."""
    return Progress(what, "part", None, quiet=quiet, delay_s=_QUICK_S)
