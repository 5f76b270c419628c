"""What an engine is: a batch of pixels in, logits out; it owns its device, memory and threads."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segpipe.core.config.sections import WorkerSettings
from segpipe.core.results import ClassStatistics
from segpipe.core.types import Float32, ModelInput, UInt8
from segpipe.inference.engines.cores import CorePerThread, usable_cores
from segpipe.inference.measures.regions import Regions
from segpipe.inference.models.spec import ModelSpec


@dataclass(frozen=True, slots=True)
class Labelled:
    """A frame's `labels` uint8 [H, W] at its own size, their statistics, and the `confidence`
    float32 [H, W] of each label where it was asked for."""

    labels: UInt8
    statistics: ClassStatistics
    confidence: Float32 | None = None


class Engine(ABC):
    """Runs one model. `label` and `logits` are called from as many threads at once as there are
    `lanes`.

    A new engine gives `logits`. Labels and statistics are made from them on the CPU, unless the
    engine overrides `label`, to make them on its own device. The sizes of a CPU are the default:
    a lane for each core, single frames, one thread to decode.
    """

    device: str = "cpu"
    """Where it runs, for reports."""
    precision: str = "float32"
    """What it computes in: a part of the dataset's identity."""
    uses_cpu: bool = True
    """Whether it needs the cores that decoding and writing need, too."""

    def __init__(self, spec: ModelSpec, sizes: WorkerSettings) -> None:
        self.spec = spec
        self.lanes = sizes.lanes or usable_cores()
        self.batch_size = sizes.batch_size or 1
        self.decode_threads = sizes.decode_threads or 1
        self._cores = CorePerThread()

    @abstractmethod
    def logits(self, pixels: UInt8) -> Float32:
        """Logits float32 [N, h', w', C] at the network's own resolution for pixels uint8
        [N, h, w, 3] in RGB, resized as the model's preprocessing says and not normalised.

        Channels come last because the next step reads all classes of a sample together.
        """

    def label(
        self, inputs: Sequence[ModelInput], regions: Regions, confidence: bool = False
    ) -> list[Labelled]:
        """Labels and statistics of inputs of one shape, in their order. `regions` says which pixels
        count, and which parts of the frame get statistics of their own."""
        # Here, for numba: a run that finds nothing new has no need of it
        from segpipe.inference.scores import for_labels, probabilities

        alone = len(inputs) == 1
        logits = self.logits(
            inputs[0].pixels[None] if alone else np.stack([i.pixels for i in inputs])
        )
        shares = probabilities(logits, self.spec)
        deciding = for_labels(logits, self.spec)
        return [
            _labelled(own, share, item, regions, confidence)
            for own, share, item in zip(deciding, shares, inputs, strict=True)
        ]

    def enter_lane(self) -> None:
        """Called first in a lane's thread. With a lane for each core of a CPU, it stays on its own.

        Left alone, some kernels keep two busy threads on one core for seconds while another core is
        idle (docs/adr/0002). Lanes take batches as they get free, so that a core that has other
        work slows only itself.
        """
        if self.uses_cpu and self.lanes == usable_cores():
            self._cores.take_one()

    def ran_out_of_memory(self, error: BaseException) -> bool:
        """Whether an error says that the device, or this machine, has no memory left for a
        batch. Such a batch is halved and tried again."""
        return isinstance(error, MemoryError)

    def free_memory(self) -> None:
        """Give back to the device what a failed batch left."""
        return


def _labelled(
    logits: Float32, shares: Float32, item: ModelInput, regions: Regions, confidence: bool
) -> Labelled:
    from segpipe.inference.upsampling import labels_and_statistics, pixel_confidence

    height, width = item.pixels.shape[:2]
    labels, statistics = labels_and_statistics(
        logits,
        shares,
        item.view,
        height,
        width,
        regions.for_size(item.view.height, item.view.width),
    )
    if not confidence:
        return Labelled(labels, statistics)
    sure = pixel_confidence(labels, shares, item.view, height, width)
    return Labelled(labels, statistics, sure)
