"""Work that may crash, in a process of its own: FFmpeg and image libraries read what strangers
wrote.

A child process runs a generator function of ours and sends what it yields; large arrays travel
beside the pickles (protocol 5, PEP 574), not in them. When the child dies or stops moving, this
process learns which it was and goes on. A child that is idle is kept for the next call, for it
takes a second to start. The pipe between them is small, so that a slow consumer makes the child
wait: nothing piles up.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any

from segpipe.runtime import stopping
from segpipe.runtime.isolation.child import Cancelled, Child, ChildLost
from segpipe.runtime.isolation.messages import END, ERROR, ITEM, Pulse

__all__ = [
    "POSSIBLE",
    "Cancelled",
    "ChildLost",
    "call",
    "call_unless_stopped",
    "end_all",
    "heartbeat",
    "stream",
]

POSSIBLE = os.name == "posix"
_START_S = 300.0
"""How long a child may compute until it is ready: a busy machine imports slowly."""
_idle: list[Child] = []
_lock = threading.Lock()
heartbeat = Pulse()
"""Called by long work: "still moving". Does nothing outside a child process."""


def stream(
    function: Callable[..., Iterator[Any]],
    *arguments: Any,
    timeout_s: float = 30.0,
    cancelled: Callable[[], bool] = lambda: False,
    on_busy: Callable[[float], None] = lambda _: None,
    ready: Callable[..., None] | None = None,
) -> Iterator[Any]:
    """Iterate over `function(*arguments)` in a child process. `function` stands in a module by its
    name, and calls `alive()` at least every few seconds where it works long for one item.

    `ready(*arguments)`, of the same module, comes first and imports what takes long: `timeout_s`
    counts from when it is done. `on_busy` is told the seconds that the child worked. Raises what
    the function raises; ChildLost where the child crashed, or gave no sign for `timeout_s`;
    Cancelled soon after `cancelled` says so.
    """
    child = _take()
    clean = False
    try:
        child.send(function, arguments, ready)
        patience_s = max(timeout_s, _START_S)
        while True:
            kind, content, busy_s = child.receive(patience_s, cancelled)
            # the first sign comes when the child has started, knows the function and is ready
            patience_s = timeout_s
            on_busy(busy_s)
            if kind == ITEM:
                yield content
            elif kind == END:
                clean = True
                return
            elif kind == ERROR:
                clean = True
                raise content
    finally:
        _give_back(child) if clean else child.end()


def call(
    function: Callable[..., Any],
    *arguments: Any,
    timeout_s: float = 30.0,
    cancelled: Callable[[], bool] = lambda: False,
) -> Any:
    """`function(*arguments)` in a child process. Raises as `stream`."""
    # To the end: a child that is cut off isn't kept.
    (result,) = stream(_once, function, arguments, timeout_s=timeout_s, cancelled=cancelled)
    return result


def call_unless_stopped(
    function: Callable[..., Any], *arguments: Any, timeout_s: float = 30.0
) -> Any:
    """The same, and it raises Stopped soon after the run was asked to end."""
    try:
        return call(function, *arguments, timeout_s=timeout_s, cancelled=stopping.STOP.is_set)
    except Cancelled:
        stopping.check()
        raise


def _once(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Iterator[Any]:
    yield function(*arguments)


def _take() -> Child:
    with _lock:
        while _idle:
            child = _idle.pop()
            if child.usable():
                return child
    return Child()


def _give_back(child: Child) -> None:
    with _lock:
        if child.usable() and len(_idle) < 2:
            _idle.append(child)
            return
    child.end()


@atexit.register
def end_all() -> None:
    """End the children that wait for work."""
    with _lock:
        while _idle:
            _idle.pop().end()
