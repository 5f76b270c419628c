"""The segmentation worker: a batch of inputs in; labels, confidence and statistics out. It owns the device."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager

import numpy as np
import torch
from torch import Tensor

from segpipe.config import ModelSettings, WorkerSettings
from segpipe.errors import ConfigError
from segpipe.frames import Float32, FrameBatch, ModelInput
from segpipe.models import Segmenter
from segpipe.regions import NO_REGIONS, Regions
from segpipe.results import FrameResult
from segpipe.units import bytes_of
from segpipe.upsampling import labels_and_statistics
from segpipe.upsampling_torch import labels_and_sums, to_statistics

log = logging.getLogger(__name__)
_NO_MEMORY = ("allocate memory", "out of memory", "ALLOC_FAILED")
"""The CPU's allocator, pinned memory, cuBLAS and cuDNN have no class of error of their own."""
_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16}


def choose_device(name: str) -> torch.device:
    """`auto` is CUDA when there, else the CPU. Raises ConfigError for a device that isn't."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"model.device: {name!r} is no device; allowed are auto, cpu, cuda, cuda:N") from None
    if device.type not in {"cpu", "cuda"}:
        raise ConfigError(f"model.device: {name!r} isn't supported; allowed are auto, cpu, cuda, cuda:N")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigError(f"model.device: {name} isn't there ({torch.cuda.device_count()} CUDA devices found); use auto or cpu")
    return device


class SegmentationWorker:
    """Runs a segmenter on its device; `run` may be called from as many threads at once as there are lanes.

    On a CPU a lane is one core: it computes frame after frame on one thread, which wastes nothing on waiting at
    barriers and makes the labels of a frame independent of its batch, bit for bit. On CUDA the frames of a batch go
    through the network together, a lane has a stream of its own, and the copies overlap with the other lane's work.
    """

    def __init__(self, segmenter: Segmenter, settings: ModelSettings | None = None, sizes: WorkerSettings | None = None) -> None:
        settings, sizes = settings or ModelSettings(), sizes or WorkerSettings()
        self.device = choose_device(settings.device)
        self.segmenter = segmenter.to(self.device)
        on_cuda = self.device.type == "cuda"
        self.precision = settings.precision if settings.precision != "auto" else ("float16" if on_cuda else "float32")
        self.lanes = sizes.lanes or (2 if on_cuda else usable_cores())
        self.free_lanes = threading.BoundedSemaphore(self.lanes)  # streams that are recorded at once share the lanes
        self.batch_size = sizes.batch_size or (8 if on_cuda else 1)
        self.decode_threads = sizes.decode_threads or (min(8, usable_cores()) if on_cuda else 1)
        self.max_memory = bytes_of(sizes.max_memory) if sizes.max_memory else None
        self.shrunk_from = 0
        """The batch size before the device ran out of memory; 0 where it never did."""
        self._own = threading.local()
        self._entered = itertools.count()

    def enter_lane(self) -> None:
        """Called first in a lane's thread: where there is a lane for each core of a CPU, it stays on its own.

        Left alone, some kernels keep two busy threads on one core for seconds while another core is idle
        (docs/adr/0002). Lanes take batches as they get free, so that a core that has other work slows only itself.
        """
        cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
        if self.device.type == "cpu" and len(cores) == self.lanes:
            os.sched_setaffinity(0, {cores[next(self._entered) % len(cores)]})

    def ran_out_of_memory(self, error: BaseException) -> bool:
        """Whether an error says that the device, or this machine, has no memory left for a batch."""
        if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
            return True
        return isinstance(error, RuntimeError) and any(said in str(error) for said in _NO_MEMORY)

    def shrink(self, batch_size: int) -> None:
        """Take smaller batches from now on; what the failed one left is given back to the device."""
        self.shrunk_from = self.shrunk_from or self.batch_size
        self.batch_size = max(1, min(self.batch_size, batch_size))
        log.info("out of memory on %s: batches of %d from now on", self.device, self.batch_size)
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def run(self, batch: FrameBatch, regions: Regions = NO_REGIONS) -> list[FrameResult]:
        """Segment a batch; results stand in the order of its inputs. Labels uint8 [H, W] at each frame's own size.

        `regions` says which pixels count, and which parts of the frame get statistics of their own.
        """
        with torch.inference_mode():
            if self.device.type == "cuda":
                return self._run_on_cuda(batch, regions)
            with _one_thread():
                return [self._with_probabilities(item, regions)[0] for item in batch.inputs]

    def examine(self, item: ModelInput) -> tuple[FrameResult, Float32]:
        """Segment one input and keep its probabilities too, float32 [h', w', C] at the network's resolution."""
        with torch.inference_mode(), _one_thread():
            return self._with_probabilities(item, NO_REGIONS)

    def _with_probabilities(self, item: ModelInput, regions: Regions) -> tuple[FrameResult, Float32]:
        with self._autocast():
            logits = self.segmenter.logits(torch.from_numpy(item.pixels)[None].to(self.device))[0].cpu()
        # The kernel reads all classes of a sample together; channels-last logits lie so already.
        probabilities = self._probabilities(logits, 0).permute(1, 2, 0).contiguous().numpy()
        height, width = item.pixels.shape[:2]
        labels, statistics = labels_and_statistics(
            logits.permute(1, 2, 0).contiguous().numpy(), probabilities, item.view, height, width,
            regions.at(item.view.height, item.view.width),
        )  # fmt: skip
        return FrameResult(item.ref, labels, statistics, item.quality), probabilities

    def _run_on_cuda(self, batch: FrameBatch, regions: Regions) -> list[FrameResult]:
        height, width = batch.inputs[0].pixels.shape[:2]
        stream = self._stream()
        with torch.cuda.stream(stream):
            pinned = torch.from_numpy(np.stack([i.pixels for i in batch.inputs])).pin_memory()
            with self._autocast():
                logits = self.segmenter.logits(pinned.to(self.device, non_blocking=True))
            probabilities = self._probabilities(logits, 1)
            maps = [regions.at(i.view.height, i.view.width) for i in batch.inputs]
            found = [
                labels_and_sums(lo, p, i.view, height, width, m)
                for lo, p, i, m in zip(logits, probabilities, batch.inputs, maps, strict=True)
            ]
            hosts = [torch.empty(labels.shape, dtype=torch.uint8, pin_memory=True) for labels, _ in found]
            for host, (labels, _) in zip(hosts, found, strict=True):
                host.copy_(labels, non_blocking=True)
        stream.synchronize()
        classes = logits.shape[1]
        return [
            FrameResult(i.ref, host.numpy(), to_statistics(sums, host.numpy(), m, classes), i.quality)
            for i, host, (_, sums), m in zip(batch.inputs, hosts, found, maps, strict=True)
        ]

    def _probabilities(self, logits: Tensor, axis: int) -> Tensor:
        if self.segmenter.spec.scores == "scores":
            return logits / logits.sum(axis, keepdim=True).clamp_min(1e-12)
        return logits.softmax(axis)

    def _autocast(self) -> AbstractContextManager[object]:
        if self.precision == "float32":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, _DTYPES[self.precision])

    def _stream(self) -> torch.cuda.Stream:
        if not hasattr(self._own, "stream"):
            self._own.stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        stream: torch.cuda.Stream = self._own.stream
        return stream


def usable_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 1)


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for torch's operations in this thread only (OpenMP keeps the number per calling thread)."""
    before = torch.get_num_threads()
    if before == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
