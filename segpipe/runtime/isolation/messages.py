"""What passes between a process and its child: pickles, and the arrays beside them (protocol 5, PEP
574)."""

from __future__ import annotations

import contextlib
import pickle
import signal
import threading
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from typing import Any

ITEM, TICK, END, ERROR = range(4)
WHERE = signal.SIGUSR1
"""Asks a child to write where each of its threads is."""
_EVERY_S = 0.5


def send(pipe: Connection, kind: int, content: Any, busy_s: float) -> None:
    """Send a message: a pickle, and after it the arrays that it refers to."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps((kind, content, busy_s), protocol=5, buffer_callback=buffers.append)
    raw = [b.raw() for b in buffers]
    pipe.send_bytes(pickle.dumps([len(r) for r in raw]))
    pipe.send_bytes(body)
    for part in raw:
        if len(part):
            pipe.send_bytes(part)


def receive(pipe: Connection) -> tuple[int, Any, float]:
    """The next message that `send` sent. Arrays in it are writable."""
    parts = [bytearray(n) for n in pickle.loads(pipe.recv_bytes())]
    body = pipe.recv_bytes()
    for part in parts:
        if part:
            pipe.recv_bytes_into(part)
    kind, content, busy_s = pickle.loads(body, buffers=parts)
    return kind, content, busy_s


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
