"""Stages that overlap: a reader that runs ahead, and calls that run side by side and come back in
order.

Both are bounded, so that memory doesn't grow with the footage; an error in one stage ends the
others.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from segpipe.runtime import stopping

T = TypeVar("T")
R = TypeVar("R")
_POLL_S = 0.1


class _End:
    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Bounded(Generic[T]):
    """A queue bounded by the number of its items and by their bytes; an item larger than all is let
    in alone."""

    def __init__(self, depth: int, most_bytes: int | None, size_of: Callable[[T], int]) -> None:
        self.depth, self.most_bytes, self.size_of = max(1, depth), most_bytes, size_of
        self._items: deque[tuple[T | _End, int]] = deque()
        self._bytes = 0
        self._changed = threading.Condition()

    def put(self, item: T | _End, closed: Callable[[], bool]) -> bool:
        size = 0 if isinstance(item, _End) else self.size_of(item)
        with self._changed:
            while self._full(size):
                if closed():
                    return False
                self._changed.wait(_POLL_S)
            self._items.append((item, size))
            self._bytes += size
            self._changed.notify_all()
        return not closed()

    def _full(self, size: int) -> bool:
        too_much = self.most_bytes is not None and self._bytes + size > self.most_bytes
        return bool(self._items) and (len(self._items) >= self.depth or too_much)

    def get(self, check: Callable[[], None]) -> T | _End:
        with self._changed:
            while not self._items:
                self._changed.wait(_POLL_S)
                check()
            item, size = self._items.popleft()
            self._bytes -= size
            self._changed.notify_all()
        return item


def _read(items: Iterable[T], waiting: _Bounded[T], stop: threading.Event) -> None:
    """Put all items, and then the end or the error, until told to stop."""
    iterator = iter(items)
    try:
        for item in iterator:
            if not waiting.put(item, stop.is_set):
                return
        waiting.put(_End(), stop.is_set)
    except BaseException as error:  # noqa: BLE001 - it is raised again on the consumer's side
        waiting.put(_End(error), stop.is_set)
    finally:
        if hasattr(iterator, "close"):
            iterator.close()


def prefetch(
    items: Iterable[T],
    depth: int,
    most_bytes: int | None = None,
    size_of: Callable[[T], int] = lambda _: 0,
    on_stop: Callable[[], object] = lambda: None,
) -> Generator[T, None, None]:
    """Iterate in a thread of its own, at most `depth` items and `most_bytes` bytes ahead.

    The reader's error is raised here, at its place. When the consumer stops, `on_stop` is called to
    wake the reader where it waits, its thread ends before this returns, and the underlying iterator
    is closed. Raises Stopped when the run is asked to end.
    """
    waiting: _Bounded[T] = _Bounded(depth, most_bytes, size_of)
    stop = threading.Event()

    thread = threading.Thread(
        target=_read, args=(items, waiting, stop), name="segpipe-read", daemon=True
    )
    thread.start()
    try:
        while True:
            item = waiting.get(stopping.check)
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        on_stop()
        thread.join()


def ordered_parallel_map(
    function: Callable[[T], R],
    items: Iterable[T],
    lanes: int,
    on_start: Callable[[], object] | None = None,
    most_bytes: int | None = None,
    size_of: Callable[[T], int] = lambda _: 0,
) -> Iterator[R]:
    """Call `function` on items in `lanes` threads; results come in the order of the items, at most
    lanes + 1 ahead, and fewer where those would hold more than `most_bytes`.

    `on_start` is called first in each of the threads.
    """
    futures: deque[tuple[Future[R], int]] = deque()
    held = 0
    with ThreadPoolExecutor(lanes, "segpipe-lane", on_start) as pool:
        try:
            for item in items:
                size = size_of(item)
                while futures and most_bytes is not None and held + size > most_bytes:
                    held -= futures[0][1]
                    yield futures.popleft()[0].result()
                futures.append((pool.submit(function, item), size))
                held += size
                if len(futures) > lanes + 1:
                    held -= futures[0][1]
                    yield futures.popleft()[0].result()
            while futures:
                yield futures.popleft()[0].result()
        finally:
            for future, _ in futures:
                future.cancel()
