"""The stages of the pipeline: each takes what the one before gives, and is timed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import cv2

from segpipe.core.errors import ModelError, one_line
from segpipe.core.results import FrameResult
from segpipe.core.types import Frame, FrameBatch, FrameFailure, ModelInput
from segpipe.inference.measures.measuring import PictureMeter
from segpipe.inference.measures.regions import NO_REGIONS, Regions
from segpipe.inference.models.preprocess import Preprocessing

if TYPE_CHECKING:  # it brings torch, which a process that only reads doesn't need
    from segpipe.inference.worker import SegmentationWorker

Inputs = tuple[ModelInput, ...]


@dataclass
class StageTimer:
    """Busy seconds of a stage, from several threads."""

    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(self, since: float) -> None:
        with self._lock:
            self.seconds += time.perf_counter() - since


def prepare(
    items: Iterable[Frame | FrameFailure],
    preprocessing: Preprocessing,
    meter: PictureMeter | None = None,
) -> Iterator[ModelInput | FrameFailure]:
    """Bring frames to the network's size and measure the pictures; the full-size pixels end
    here, so that no picture is in memory while the next one is decoded."""
    for item in items:
        ready = _prepared(item, preprocessing, meter) if isinstance(item, Frame) else item
        del item
        yield ready
        del ready


def _prepared(
    frame: Frame, preprocessing: Preprocessing, meter: PictureMeter | None
) -> ModelInput | FrameFailure:
    try:
        pixels, view = preprocessing.apply(frame.rgb)
        return ModelInput(frame.ref, pixels, view, meter.measure(frame.rgb) if meter else {})
    except (ModelError, cv2.error, RuntimeError, ValueError) as error:
        said = f"can't be brought to the model's size ({one_line(error)})"
        return FrameFailure(frame.ref, said)


def in_batches(
    items: Iterable[ModelInput | FrameFailure], size: Callable[[], int]
) -> Iterator[list[ModelInput | FrameFailure]]:
    """Groups of neighbours in their order: at most `size()`, inputs of one shape only. Failures
    travel along."""
    group: list[ModelInput | FrameFailure] = []
    shape: tuple[int, ...] | None = None
    for item in items:
        other = isinstance(item, ModelInput) and shape is not None and item.pixels.shape != shape
        if group and (other or len(group) >= size()):
            yield group
            group, shape = [], None
        if isinstance(item, ModelInput):
            shape = item.pixels.shape
        group.append(item)
    if group:
        yield group


def segment(
    group: list[ModelInput | FrameFailure],
    worker: SegmentationWorker,
    clock: StageTimer,
    regions: Regions = NO_REGIONS,
    confidence: bool = False,
) -> list[FrameResult | FrameFailure]:
    """Segment a group's inputs as soon as the worker has a lane free; results and failures in the
    order of the group."""
    inputs = tuple(i for i in group if isinstance(i, ModelInput))
    with worker.free_lanes:
        since = time.perf_counter()
        run = partial(_run, worker, regions, confidence)
        results = iter(_as_memory_allows(inputs, worker, run) if inputs else [])
        clock.add(since)
    return [next(results) if isinstance(i, ModelInput) else i for i in group]


def _run(
    worker: SegmentationWorker, regions: Regions, confidence: bool, inputs: Inputs
) -> list[FrameResult]:
    return worker.run(FrameBatch(inputs), regions, confidence)


def _as_memory_allows(
    inputs: Inputs,
    worker: SegmentationWorker,
    run: Callable[[Inputs], list[FrameResult]],
    again: bool = True,
) -> list[FrameResult | FrameFailure]:
    """The batch at once, or in halves where the device runs out of memory. A frame alone is tried
    once more, for another lane may have held the memory; then it fails."""
    try:
        return list(run(inputs))
    except Exception as error:
        if not worker.ran_out_of_memory(error):
            raise
        said = one_line(error)
    # Behind the except: the error holds on to the tensors of the call that failed.
    half = max(1, len(inputs) // 2)
    worker.shrink(half)
    if len(inputs) == 1 and not again:
        return [
            FrameFailure(
                inputs[0].ref,
                f"the device has too little memory for this frame ({said})",
                transient=True,
            )
        ]
    parts = (inputs[:half], inputs[half:]) if len(inputs) > 1 else (inputs,)
    return [r for part in parts for r in _as_memory_allows(part, worker, run, len(inputs) > 1)]


def bytes_of_group(group: list[ModelInput | FrameFailure]) -> int:
    """Bytes that a group takes on its way: its pixels, and the labels at full size that become of
    them."""
    return sum(
        i.pixels.nbytes + i.view.height * i.view.width for i in group if isinstance(i, ModelInput)
    )
