"""Overlapped stages: order, bounds, and errors that reach the other side."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from segpipe.runtime.threads import ordered_parallel_map, prefetch

BEFORE: set[int | None] = set()


@pytest.fixture(autouse=True)
def _what_others_left() -> None:
    BEFORE.clear()
    BEFORE.update(t.ident for t in threading.enumerate())


def threads() -> int:
    """Threads of the stages that began in this test; other tests' may still be ending."""
    return sum(
        t.name.startswith(("segpipe-read", "segpipe-lane")) and t.ident not in BEFORE
        for t in threading.enumerate()
    )


def test_items_come_in_order_and_at_most_so_many_ahead() -> None:
    made = []

    def source() -> Iterator[int]:
        for i in range(50):
            made.append(i)
            yield i

    taken = []
    for item in prefetch(source(), depth=3):
        time.sleep(0.001)
        taken.append(item)
        assert len(made) - len(taken) <= 3 + 2  # the queue, one in the reader's hand, one here
    assert taken == list(range(50))
    assert threads() == 0


def test_a_failing_reader_reaches_the_consumer_at_its_place() -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise OSError("the disk is gone")

    taken = []

    def consume() -> None:
        for item in prefetch(source(), depth=1):
            taken.append(item)

    with pytest.raises(OSError, match="the disk is gone"):
        consume()
    assert taken == [1, 2]
    assert threads() == 0


def test_a_failing_consumer_stops_the_reader_and_closes_its_source() -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            i = 0
            while True:  # an endless stream
                yield i
                i += 1
        finally:
            closed.set()

    def consume() -> None:
        for item in prefetch(source(), depth=2):
            if item == 5:
                raise ValueError("the consumer can't go on")

    with pytest.raises(ValueError, match="can't go on"):
        consume()
    assert closed.wait(5)
    assert threads() == 0


def test_side_by_side_keeps_the_order_and_bounds_what_is_ahead() -> None:
    running, most, lock = 0, 0, threading.Lock()

    def work(i: int) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        time.sleep(0.002 * (i % 3))
        with lock:
            running -= 1
        return i * i

    assert list(ordered_parallel_map(work, range(40), 3)) == [i * i for i in range(40)]
    assert most <= 3
    assert threads() == 0


def test_a_failing_lane_is_raised_and_the_rest_not_started() -> None:
    started = []

    def work(i: int) -> int:
        started.append(i)
        if i == 4:
            raise RuntimeError("lane 4")
        return i

    with pytest.raises(RuntimeError, match="lane 4"):
        list(ordered_parallel_map(work, range(1000), 2))
    assert len(started) < 20
    assert threads() == 0
