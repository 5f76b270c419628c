"""What comes out of the lanes, measured, written and counted: of a shard of files and of a
stream."""

from __future__ import annotations

from dataclasses import dataclass, field

from segpipe.core.results import FrameResult
from segpipe.core.types import FrameFailure
from segpipe.inference.measures.measuring import SourceMeasures
from segpipe.pipeline.totals import Totals
from segpipe.store.shard_writer import ShardWriter


@dataclass
class ShardAccumulator:
    """Measures and writes results, and counts them in `totals`."""

    writer: ShardWriter
    measures: SourceMeasures
    totals: Totals
    lead_in: int = -1
    """The index of the frame before the shard: it is measured and not written. -1: there is
    none."""
    _begun: bool = field(default=False, init=False)

    def add(self, results: list[FrameResult | FrameFailure]) -> tuple[int, int]:
        """Write results; the number of frames written, and of failed ones among them."""
        self._take_lead_in(results)
        failed = 0
        for item in results:
            self.totals.placed += item.ref.position is not None
            if isinstance(item, FrameFailure):
                failed += 1
                self.measures.missed()
                self.writer.add(item)
            else:
                self._add(item)
        self.totals.frames += len(results)
        self.totals.failed += failed
        return len(results), failed

    def _take_lead_in(self, results: list[FrameResult | FrameFailure]) -> None:
        begins = not self._begun and self.lead_in >= 0 and results
        if begins and results[0].ref.frame_index == self.lead_in:
            first = results.pop(0)
            if isinstance(first, FrameFailure):
                self.measures.missed()
            else:
                self.measures.of(first)
        self._begun = True

    def _add(self, item: FrameResult) -> None:
        measured = self.measures.of(item)
        self.writer.add(measured)
        self.totals.usable += bool(measured.values["usable"])
        if valid := item.statistics.valid_pixels[0]:
            self.totals.shares += item.statistics.pixel_count[0] / valid
            self.totals.shown += 1
