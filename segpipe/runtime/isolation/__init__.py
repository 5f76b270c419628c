"""Work that may crash, in a process of its own: FFmpeg and image libraries read what strangers
wrote.

A child process runs a generator function of ours and sends what it yields, which has to be what the
function's annotation says; large arrays travel beside the message, not in it. When the child dies,
stops moving or sends anything else, this process learns which it was and goes on. A child that is
idle is kept for the next call, for it takes a second to start. The pipe between them is small, so
that a slow consumer makes the child wait: nothing piles up.
"""

from __future__ import annotations

import atexit
import os
import threading
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from typing import Any

from segpipe.runtime import stopping
from segpipe.runtime.isolation.child import Cancelled, Child, ChildLost
from segpipe.runtime.isolation.messages import END, ERROR, ITEM
from segpipe.runtime.isolation.pulse import Pulse
from segpipe.runtime.isolation.schema import Reader, returned_by

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
_NOTHING = object()
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
    network: bool = False,
) -> Iterator[Any]:
    """Iterate over `function(*arguments)` in a child process. `function` stands in a module by its
    name, and calls `alive()` at least every few seconds where it works long for one item.

    `ready(*arguments)`, of the same module, comes first and imports what takes long: `timeout_s`
    counts from when it is done. Only with `network` may it connect to anything. `on_busy` is told
    the seconds that the child worked. Raises what the function raises; ChildLost where the child
    crashed, gave no sign for `timeout_s`, or sent what the function isn't annotated to yield;
    Cancelled soon after `cancelled` says so.
    """
    terms = _Terms(timeout_s, cancelled, on_busy, network)
    return _stream(returned_by(function, each=True), terms, function, arguments, ready)


@dataclass(frozen=True, slots=True)
class _Terms:
    """On what terms a child works, as `stream` takes them."""

    timeout_s: float
    cancelled: Callable[[], bool]
    on_busy: Callable[[float], None] = lambda _: None
    network: bool = False


def _stream(
    reader: Reader,
    terms: _Terms,
    function: Callable[..., Iterator[Any]],
    arguments: tuple[Any, ...],
    ready: Callable[..., None] | None = None,
) -> Generator[Any, None, None]:
    """What `function` yields in a child process, each as `reader` reads it."""
    child = _take(terms.network)
    clean = False
    try:
        child.send(function, arguments, ready)
        patience_s = max(terms.timeout_s, _START_S)
        while True:
            kind, content, busy_s = child.receive(reader, patience_s, terms.cancelled)
            # the first sign comes when the child has started, knows the function and is ready
            patience_s = terms.timeout_s
            terms.on_busy(busy_s)
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
    terms = _Terms(timeout_s, cancelled)
    items = _stream(returned_by(function), terms, _once, (function, arguments))
    result = next(items, _NOTHING)
    # To the end: a child that is cut off isn't kept.
    if result is _NOTHING or next(items, _NOTHING) is not _NOTHING:
        items.close()
        raise ChildLost("reading sent what it may not send (not one answer)")
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


def _take(network: bool) -> Child:
    with _lock:
        for child in [c for c in reversed(_idle) if c.network == network]:
            _idle.remove(child)
            if child.usable():
                return child
    return Child(network)


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
