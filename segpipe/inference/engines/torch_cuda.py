"""torch on CUDA: the frames of a batch go through the network together, a lane has a stream of its
own, and the copies overlap with the other lane's work.

Labels and sums are made on the device; the label maps and a few numbers per class leave it.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from segpipe.core.config.sections import WorkerSettings
from segpipe.core.types import Float32, ModelInput, UInt8
from segpipe.inference.engines.base import Labelled
from segpipe.inference.engines.cores import usable_cores
from segpipe.inference.engines.torch_engine import TorchEngine
from segpipe.inference.measures.regions import Regions
from segpipe.inference.models.heads import for_labels, probabilities
from segpipe.inference.models.spec import Segmenter
from segpipe.inference.upsampling_torch import labels_and_sums, pixel_confidence, to_statistics

LANES, BATCH_SIZE, MOST_DECODE_THREADS = 2, 8, 8


class TorchCudaEngine(TorchEngine):
    """Overrides `label`, so that full-size maps stay on the device until they are bytes."""

    AUTO = "float16"
    uses_cpu = False

    def __init__(
        self, segmenter: Segmenter, device: torch.device, precision: str, sizes: WorkerSettings
    ) -> None:
        super().__init__(segmenter, device, precision, sizes)
        self.lanes = sizes.lanes or LANES
        self.batch_size = sizes.batch_size or BATCH_SIZE
        self.decode_threads = sizes.decode_threads or min(MOST_DECODE_THREADS, usable_cores())
        self._own = threading.local()

    def logits(self, pixels: UInt8) -> Float32:
        with torch.inference_mode(), torch.cuda.stream(self._stream()):
            found: Float32 = self._forward(pixels).permute(0, 2, 3, 1).contiguous().cpu().numpy()
        return found

    def label(
        self, inputs: Sequence[ModelInput], regions: Regions, confidence: bool = False
    ) -> list[Labelled]:
        height, width = inputs[0].pixels.shape[:2]
        maps = [regions.for_size(i.view.height, i.view.width) for i in inputs]
        stream = self._stream()
        with torch.inference_mode(), torch.cuda.stream(stream):
            logits = self._forward(np.stack([i.pixels for i in inputs]))
            shares = probabilities(logits, self.spec, 1)
            deciding = for_labels(logits, self.spec, 1)
            found = [
                labels_and_sums(own, share, i.view, height, width, m)
                for own, share, i, m in zip(deciding, shares, inputs, maps, strict=True)
            ]
            hosts = [_to_host(labels) for labels, _ in found]
            sure = [
                _to_host(pixel_confidence(labels, share, i.view, height, width))
                for (labels, _), share, i in zip(found, shares, inputs, strict=True)
                if confidence
            ]
        stream.synchronize()
        classes = logits.shape[1]
        return [
            Labelled(
                host.numpy(),
                to_statistics(sums, host.numpy(), m, classes),
                sure[n].numpy() if confidence else None,
            )
            for n, (host, (_, sums), m) in enumerate(zip(hosts, found, maps, strict=True))
        ]

    def free_memory(self) -> None:
        torch.cuda.empty_cache()

    def _forward(self, pixels: UInt8) -> Tensor:
        """Logits float32 [N, C, h', w'] on the device, in the current stream."""
        pinned = torch.from_numpy(pixels).pin_memory()
        with self.autocast():
            return self.segmenter.logits(pinned.to(self.torch_device, non_blocking=True))

    def _stream(self) -> torch.cuda.Stream:
        if not hasattr(self._own, "stream"):
            self._own.stream = torch.cuda.Stream(self.torch_device)  # type: ignore[no-untyped-call]
        stream: torch.cuda.Stream = self._own.stream
        return stream


def _to_host(values: Tensor) -> Tensor:
    """Begin to copy a tensor into pinned memory; it is there once the stream is synchronized."""
    host = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return host.copy_(values, non_blocking=True)
