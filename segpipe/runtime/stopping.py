"""Asking a run to end: SIGTERM and Ctrl-C set one flag, and the work looks at it between frames.

A signal that raised an exception wherever the program stands could fall between two renames of a
commit. With a flag, a commit that has begun is finished, a shard that hasn't is discarded whole,
and a stream's shard is committed.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from segpipe.core.errors import Stopped

STOP = threading.Event()
"""Set when this process was asked to end: signals are the process's, and so is the flag."""


_listening = False


def begin() -> None:
    """A run begins: what ended an earlier one in this process is over, unless somebody listens, and
    a signal came already."""
    if not _listening:
        STOP.clear()


def check() -> None:
    """Raises Stopped where the run was asked to end."""
    if STOP.is_set():
        raise Stopped("stopped; what was committed stays: run the same command again to go on")


@contextlib.contextmanager
def listening() -> Iterator[list[int]]:
    """Within it, SIGTERM and SIGINT set `STOP`; a second Ctrl-C interrupts at once. At its end, a
    Ctrl-C is raised as such.

    Gives the list of the signals that came. They can be had in the main thread only: elsewhere this
    does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield []
        return
    came: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        if signal.SIGINT in came and number == signal.SIGINT:
            raise KeyboardInterrupt
        came.append(number)
        STOP.set()

    global _listening
    STOP.clear()
    _listening = True
    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield came
    except Stopped:
        if signal.SIGINT in came:
            raise KeyboardInterrupt from None
        raise
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        STOP.clear()
        _listening = False


@contextlib.contextmanager
def ending() -> Iterator[None]:
    """Within it, whatever ends the block early (an orchestrator that cancels, Ctrl-C) ends the work
    in other threads too."""
    STOP.clear()
    try:
        yield
    except BaseException:
        STOP.set()
        raise
