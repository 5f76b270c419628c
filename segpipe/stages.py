"""The stages of the pipeline: each takes what the one before gives, and is timed."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import cv2

from segpipe.errors import ModelError, one_line
from segpipe.frames import Frame, FrameBatch, FrameFailure, ModelInput
from segpipe.models.preprocess import Preprocessing
from segpipe.quality import QualityMeter
from segpipe.regions import NO_REGIONS, Regions
from segpipe.results import FrameResult
from segpipe.worker import SegmentationWorker

T = TypeVar("T")


@dataclass
class Clock:
    """Busy seconds of a stage, from several threads."""

    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, since: float) -> None:
        with self._lock:
            self.seconds += time.perf_counter() - since


def timed(items: Iterable[T], clock: Clock) -> Iterator[T]:
    """Pass items on; the time that each takes to come is added to the clock."""
    iterator = iter(items)
    while True:
        since = time.perf_counter()
        try:
            item = next(iterator)
        except StopIteration:
            return
        finally:
            clock.add(since)
        yield item


def prepare(
    items: Iterable[Frame | FrameFailure], preprocessing: Preprocessing, meter: QualityMeter | None = None
) -> Iterator[ModelInput | FrameFailure]:
    """Bring frames to the network's size and measure their quality; the full-size pixels end here."""
    for item in items:
        if isinstance(item, FrameFailure):
            yield item
            continue
        try:
            pixels, view = preprocessing.apply(item.rgb)
            yield ModelInput(item.ref, pixels, view, meter.measure(item.rgb) if meter is not None else None)
        except (ModelError, cv2.error, RuntimeError, ValueError) as error:
            yield FrameFailure(item.ref, f"can't be brought to the model's size ({one_line(error)})")


def in_batches(items: Iterable[ModelInput | FrameFailure], size: int) -> Iterator[list[ModelInput | FrameFailure]]:
    """Groups of neighbours in their order: at most `size`, inputs of one shape only. Failures travel along."""
    group: list[ModelInput | FrameFailure] = []
    shape: tuple[int, ...] | None = None
    for item in items:
        other = isinstance(item, ModelInput) and shape is not None and item.pixels.shape != shape
        if group and (other or len(group) >= size):
            yield group
            group, shape = [], None
        if isinstance(item, ModelInput):
            shape = item.pixels.shape
        group.append(item)
    if group:
        yield group


def segment(
    group: list[ModelInput | FrameFailure], worker: SegmentationWorker, clock: Clock, regions: Regions = NO_REGIONS
) -> list[FrameResult | FrameFailure]:
    """Segment a group's inputs; results and failures in the order of the group."""
    since = time.perf_counter()
    inputs = tuple(i for i in group if isinstance(i, ModelInput))
    results = iter(worker.run(FrameBatch(inputs), regions) if inputs else [])
    found = [next(results) if isinstance(i, ModelInput) else i for i in group]
    clock.add(since)
    return found
