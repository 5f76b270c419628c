"""The segmentation worker: a batch of inputs in; labels, confidence and statistics out. An engine
does the work."""

from __future__ import annotations

import logging
import threading

from segpipe.core.config.sections import ModelSettings, WorkerSettings
from segpipe.core.results import FrameResult
from segpipe.core.types import FrameBatch
from segpipe.core.units import bytes_of
from segpipe.inference.engines import load_engine
from segpipe.inference.measures.regions import NO_REGIONS, Regions
from segpipe.inference.models.spec import Segmenter

log = logging.getLogger(__name__)


class SegmentationWorker:
    """Runs a segmenter on the engine that the settings name; `run` may be called from as many
    threads at once as there are lanes."""

    def __init__(
        self,
        segmenter: Segmenter,
        settings: ModelSettings | None = None,
        sizes: WorkerSettings | None = None,
    ) -> None:
        sizes = sizes or WorkerSettings()
        self.segmenter = segmenter
        self.engine = load_engine(segmenter, settings or ModelSettings(), sizes)
        # Streams that are recorded at once share the lanes.
        self.free_lanes = threading.BoundedSemaphore(self.lanes)
        self.max_memory = bytes_of(sizes.max_memory) if sizes.max_memory else None
        self.shrunk_from = 0
        """The batch size before the device ran out of memory; 0 where it never did."""

    @property
    def device(self) -> str:
        """Where the engine runs, such as cpu or cuda:0."""
        return self.engine.device

    @property
    def precision(self) -> str:
        """What the engine computes in."""
        return self.engine.precision

    @property
    def lanes(self) -> int:
        """Batches in work at once."""
        return self.engine.lanes

    @property
    def batch_size(self) -> int:
        """Frames in one batch, at most."""
        return self.engine.batch_size

    @property
    def decode_threads(self) -> int:
        """Threads of a video decoder that suit the engine."""
        return self.engine.decode_threads

    def enter_lane(self) -> None:
        """Called first in a lane's thread."""
        self.engine.enter_lane()

    def ran_out_of_memory(self, error: BaseException) -> bool:
        """Whether an error says that the device, or this machine, has no memory left for a
        batch."""
        return self.engine.ran_out_of_memory(error)

    def shrink(self, batch_size: int) -> None:
        """Take smaller batches from now on; what the failed one left is given back to the
        device."""
        self.shrunk_from = self.shrunk_from or self.batch_size
        self.engine.batch_size = max(1, min(self.batch_size, batch_size))
        log.info("out of memory on %s: batches of %d from now on", self.device, self.batch_size)
        self.engine.free_memory()

    def run(
        self, batch: FrameBatch, regions: Regions = NO_REGIONS, confidence: bool = False
    ) -> list[FrameResult]:
        """Segment a batch; results stand in the order of its inputs. Labels uint8 [H, W] at each
        frame's own size.

        `regions` says which pixels count, and which parts of the frame get statistics of their own.
        `confidence` asks for each pixel's confidence, too.
        """
        labelled = self.engine.label(batch.inputs, regions, confidence)
        return [
            FrameResult(i.ref, found.labels, found.statistics, i.picture, found.confidence)
            for i, found in zip(batch.inputs, labelled, strict=True)
        ]
