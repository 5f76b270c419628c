"""The sign of life of a child process."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

_EVERY_S = 0.5


class Pulse:
    """The child's sign of life, sent at most twice a second."""

    def __init__(self) -> None:
        self.beat: Callable[[], None] | None = None
        self.last = 0.0

    def __call__(self) -> None:
        if self.beat is not None and time.monotonic() - self.last > _EVERY_S:
            self.last = time.monotonic()
            self.beat()

    @contextlib.contextmanager
    def meanwhile(self, most_s: float) -> Iterator[None]:
        """Signs of life while a library works that gives none, for at most `most_s` seconds: after
        those it hangs."""
        over, until = threading.Event(), time.monotonic() + most_s

        def work() -> None:
            with contextlib.suppress(OSError):
                while not over.wait(_EVERY_S) and time.monotonic() < until:
                    self()

        thread = threading.Thread(target=work, name="segpipe-alive", daemon=True)
        if self.beat is not None:
            thread.start()
        try:
            yield
        finally:
            over.set()
            if thread.ident is not None:  # nothing else may be sent while it sends
                thread.join()
