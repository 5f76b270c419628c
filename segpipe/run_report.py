"""A run before it begins and after it has ended: what it has to do, and what it came to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from segpipe import stopping
from segpipe.config import Job
from segpipe.errors import one_line
from segpipe.frames import Shard
from segpipe.live.counts import StreamReport
from segpipe.live.run import StreamPlan
from segpipe.pipeline import ShardReport
from segpipe.store import Store
from segpipe.store.resume import Pending
from segpipe.worker import SegmentationWorker


@dataclass(frozen=True)
class Prepared:
    """A job that is ready to run: its worker, its store, what is left to do, and what has to be said of its sources."""

    job: Job
    worker: SegmentationWorker
    store: Store
    pending: Pending
    notes: tuple[str, ...] = ()
    streams: tuple[StreamPlan, ...] = ()
    """To be recorded; a job has either files or streams."""


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run came to; `broken` names the shards that raised, with their errors."""

    shards: tuple[ShardReport, ...]
    broken: dict[str, str] = field(default_factory=dict)
    frames_before: int = 0
    failed_before: int = 0
    wall_s: float = 0.0
    lanes: int = 1
    device: str = "cpu"
    notes: tuple[str, ...] = ()
    streams: tuple[StreamReport, ...] = ()
    stopped: bool = False
    """Whether a signal ended it: the streams' shards are committed, and `Stopped` wasn't raised."""

    @property
    def frames(self) -> int:
        """Frames attempted in this run."""
        return sum(s.frames for s in self.shards)

    @property
    def placed(self) -> int:
        """Frames of this run that have a position."""
        return sum(s.placed for s in self.shards)

    @property
    def usable(self) -> int:
        """Frames of this run that pass the thresholds of the config."""
        return sum(s.usable for s in self.shards)

    @property
    def failed(self) -> int:
        """Frames of this run that failed."""
        return sum(s.failed for s in self.shards)

    def total(self, stage: str) -> float:
        """Busy seconds of a stage (`read_s`, `infer_s`, `write_s`) over all shards."""
        return float(sum(getattr(s, stage) for s in self.shards))

    def pixels(self) -> list[int]:
        """Pixels of each class over all shards."""
        return [sum(column) for column in zip(*(s.pixels for s in self.shards), strict=True)]


def report_of(ready: Prepared, shards: list[ShardReport], broken: dict[str, str], wall_s: float) -> RunReport:
    """Put the shards' reports together."""
    return RunReport(
        tuple(shards),
        broken,
        ready.pending.frames_done,
        ready.pending.failed_before,
        wall_s,
        ready.worker.lanes,
        str(ready.worker.device),
        (*ready.notes, *_shrunk(ready.worker)),
    )


def report_of_streams(ready: Prepared, recorded: list[StreamReport], wall_s: float) -> RunReport:
    """Put the streams' reports together. Raises the first one's error where no stream gave anything at all."""
    errors = {r.totals.source_id: r.error for r in recorded if r.error is not None}
    if len(errors) == len(recorded) and not any(r.totals.frames for r in recorded):
        raise next(iter(errors.values()))
    broken = {source_id: one_line(error) for source_id, error in errors.items()}
    report = report_of(ready, [r.totals for r in recorded], broken, wall_s)
    return replace(report, streams=tuple(recorded), stopped=stopping.STOP.is_set())


def _shrunk(worker: SegmentationWorker) -> list[str]:
    """What has to be said where the device ran out of memory."""
    if not worker.shrunk_from:
        return []
    if worker.shrunk_from == worker.batch_size:
        return [f"{worker.device} ran out of memory with single frames, which were done again; worker.lanes=1 may avoid that"]
    return [
        f"{worker.device} ran out of memory: batches of {worker.shrunk_from} were halved to {worker.batch_size} and done again; "
        f"worker.batch_size={worker.batch_size} avoids that"
    ]


def frames_in(shards: tuple[Shard, ...]) -> int:
    """Frames that shards are going to attempt."""
    return sum(s.frame_count for s in shards)
