"""From inputs to results on the worker's lanes: batched, overlapped, timed. Files and streams go
the same way."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segpipe.core.results import FrameResult
from segpipe.core.types import FrameFailure, ModelInput
from segpipe.inference.measures.regions import NO_REGIONS, Regions
from segpipe.pipeline.stages import StageTimer, bytes_of_group, segment
from segpipe.pipeline.totals import Seconds
from segpipe.runtime.threads import ordered_parallel_map

if TYPE_CHECKING:  # it brings torch, which a run that finds nothing new doesn't need
    from segpipe.inference.worker import SegmentationWorker

Group = list[ModelInput | FrameFailure]
Results = list[FrameResult | FrameFailure]


@dataclass
class Timers:
    """Busy seconds of inference, summed over the lanes, and of writing."""

    infer: StageTimer = field(default_factory=StageTimer)
    write: StageTimer = field(default_factory=StageTimer)

    def seconds(self, read_s: float, wall_s: float) -> Seconds:
        """All seconds, with those of the reading and those on the clock."""
        return Seconds(read_s, self.infer.seconds, self.write.seconds, wall_s)


@dataclass
class Lanes:
    """A worker's lanes, for the frames of one source. `most_bytes` bounds what is in them;
    `confidence` asks for each pixel's confidence, too."""

    worker: SegmentationWorker
    timer: StageTimer
    regions: Regions = NO_REGIONS
    most_bytes: int | None = None
    confidence: bool = False

    def results(
        self, groups: Iterable[Group], drop: Callable[[Group], bool] = lambda _: False
    ) -> Iterator[Results]:
        """The results of each group, in order. A group that `drop` takes when a lane comes to it
        has none."""

        def one(group: Group) -> Results:
            if drop(group):
                return []
            return segment(group, worker, self.timer, self.regions, self.confidence)

        worker = self.worker
        return ordered_parallel_map(
            one, groups, worker.lanes, worker.enter_lane, self.most_bytes, bytes_of_group
        )
