"""Stages that overlap: a reader that runs ahead, and calls that run side by side and come back in order.

Both are bounded, so that memory doesn't grow with the footage; an error in one stage ends the others.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")
_POLL_S = 0.1


class _End:
    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


def read_ahead(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    """Iterate in a thread of its own, at most `depth` items ahead.

    The reader's error is raised here, at its place. When the consumer stops, the reader's thread ends before this
    returns, and the underlying iterator is closed.
    """
    waiting: queue.Queue[T | _End] = queue.Queue(maxsize=max(1, depth))
    stop = threading.Event()

    def put(item: T | _End) -> bool:
        while not stop.is_set():
            try:
                waiting.put(item, timeout=_POLL_S)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        iterator = iter(items)
        try:
            for item in iterator:
                if not put(item):
                    return
            put(_End())
        except BaseException as error:  # noqa: BLE001 - it is raised again on the consumer's side
            put(_End(error))
        finally:
            if hasattr(iterator, "close"):
                iterator.close()

    thread = threading.Thread(target=work, name="segpipe-read", daemon=True)
    thread.start()
    try:
        while True:
            item = waiting.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item
    finally:
        stop.set()
        thread.join()


def side_by_side(
    function: Callable[[T], R], items: Iterable[T], lanes: int, on_start: Callable[[], object] | None = None
) -> Iterator[R]:
    """Call `function` on items in `lanes` threads; results come in the order of the items, at most lanes + 1 ahead.

    `on_start` is called first in each of the threads.
    """
    futures: deque[Future[R]] = deque()
    with ThreadPoolExecutor(lanes, "segpipe-lane", on_start) as pool:
        try:
            for item in items:
                futures.append(pool.submit(function, item))
                if len(futures) > lanes + 1:
                    yield futures.popleft().result()
            while futures:
                yield futures.popleft().result()
        finally:
            for future in futures:
                future.cancel()
