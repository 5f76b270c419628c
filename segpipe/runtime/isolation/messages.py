"""What passes between a process and its child.

A call goes to the child as a pickle: the parent has nothing to fear from itself. What comes back is
not trusted, for a damaged file may have taken the child over: a message is one msgpack list, and
behind it the bytes of the large arrays, which are copied into place and nowhere else. It is read by
what the called function may return (`schema`).
"""

from __future__ import annotations

import math
import pickle
import signal
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import msgpack
import numpy as np

from segpipe.runtime.isolation.arrays import Unexpected
from segpipe.runtime.isolation.encoding import as_bytes, plain
from segpipe.runtime.isolation.errors import error_of
from segpipe.runtime.isolation.schema import Reader

ITEM, TICK, END, ERROR = range(4)
WHERE = signal.SIGUSR1
"""Asks a child to write where each of its threads is."""
MOST_BYTES = 1 << 29
"""Of a message without its arrays: the facts of a folder of a million images."""
_MOST_WORDS = 100
_NAMES = "surrogateescape"
"""File names may hold bytes that are no UTF-8."""


class BadMessage(Exception):
    """A child sent something that isn't the message that it may send."""


def send_call(pipe: Connection, call: tuple[Any, ...]) -> None:
    """Send a call to a child."""
    pipe.send_bytes(pickle.dumps(call, protocol=5))


def receive_call(pipe: Connection) -> tuple[Any, ...]:
    """The next call of the parent."""
    call: tuple[Any, ...] = pickle.loads(pipe.recv_bytes())  # noqa: S301 - in the child, from its parent
    return call


def send(pipe: Connection, kind: int, content: Any, busy_s: float) -> None:
    """Send a message to the parent. Raises TypeError for content that can't be sent."""
    arrays: list[np.ndarray] = []
    content = plain(content, arrays)
    message = [kind, busy_s, [array.nbytes for array in arrays], content]
    pipe.send_bytes(msgpack.packb(message, unicode_errors=_NAMES))
    for array in arrays:
        if array.nbytes:
            pipe.send_bytes(as_bytes(array))


def receive(pipe: Connection, reader: Reader, most_bytes: int) -> tuple[int, Any, float]:
    """The next message of a child: its kind, its content as `reader` has it, and the seconds of
    work behind it. Arrays in it are writable, and have at most `most_bytes` together.

    Raises EOFError or OSError where the child has gone, and BadMessage."""
    body = _received(lambda: pipe.recv_bytes(MOST_BYTES))
    try:
        kind, busy_s, sizes, content = msgpack.unpackb(body, unicode_errors=_NAMES)
        if type(kind) is not int or type(busy_s) is not float or not math.isfinite(busy_s):
            raise Unexpected("no kind, or no seconds")
        arrays = _rooms(sizes, most_bytes)
        for array in arrays:
            _fill(pipe, array)
        return kind, _content(kind, content, arrays, reader), busy_s
    except (EOFError, OSError):
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the message made it so
        raise BadMessage(f"{type(error).__name__}: {error}"[:200]) from None


def _content(kind: int, content: Any, arrays: list[np.ndarray], reader: Reader) -> Any:
    if kind == ITEM:
        return reader(content, arrays)
    if kind == ERROR:
        return error_of(content)
    if kind in (TICK, END) and content is None:
        return None
    if kind == TICK and isinstance(content, str):
        return content[:_MOST_WORDS]
    raise Unexpected(f"a message of kind {kind}")


def _rooms(sizes: Any, most_bytes: int) -> list[np.ndarray]:
    """Room for arrays of so many bytes. The system gives memory as it is written to: a size that is
    claimed costs nothing."""
    if not isinstance(sizes, list) or not all(type(n) is int and n >= 0 for n in sizes):
        raise Unexpected("no sizes of arrays")
    if sum(sizes) > most_bytes:
        raise Unexpected(f"arrays of {sum(sizes)} bytes; at most {most_bytes} may come")
    return [np.empty(n, np.uint8) for n in sizes]


def _fill(pipe: Connection, array: np.ndarray) -> None:
    if array.nbytes and _received(lambda: pipe.recv_bytes_into(array)) != array.nbytes:
        raise Unexpected("an array of another size than was said")


def _received(receive: Callable[[], Any]) -> Any:
    """What a pipe gives; it has no error number for a message that is longer than it may be."""
    try:
        return receive()
    except OSError as error:
        if error.errno is None:
            raise BadMessage(str(error)[:200]) from None
        raise
