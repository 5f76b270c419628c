"""A run before it begins and after it has ended: what it has to do, and what it came to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from segpipe.core.config.job import Job
from segpipe.core.errors import one_line
from segpipe.core.types import Shard
from segpipe.pipeline.live.counts import StreamReport
from segpipe.pipeline.live.plan import StreamPlan
from segpipe.pipeline.shard import ShardReport
from segpipe.runtime import stopping
from segpipe.sources import Footage
from segpipe.store import Store

if TYPE_CHECKING:  # it brings torch, which a run that finds nothing new doesn't need
    from segpipe.inference.worker import SegmentationWorker

Task = Shard | StreamPlan
"""What a run does at a time: a shard of files, or a stream from its beginning to its end."""


@dataclass(frozen=True)
class Prepared:
    """A job that is ready to run: its worker, its store, what is left to do, and what has to be
    said of its sources. A job has either files or streams."""

    job: Job
    worker: SegmentationWorker | None
    """None where there is nothing to do."""
    store: Store
    todo: tuple[Task, ...]
    frames_done: int = 0
    """Frames of the plan that the dataset holds already, `failed_before` of them as failures."""
    failed_before: int = 0
    notes: tuple[str, ...] = ()
    stop: Callable[[], bool] = stopping.STOP.is_set
    """Whether streams are to end."""
    footage: Footage = field(default_factory=lambda: Footage(()))
    """What was found of files."""
    facts_keys: Mapping[str, str] = field(default_factory=dict)
    """What the metadata of each source followed from, by its id; empty where it is to be found out
    again."""
    ending: threading.Event = field(default_factory=threading.Event)
    """Set where the run ends with an error: streams in work end too, with their shards
    committed."""

    @property
    def streams(self) -> tuple[StreamPlan, ...]:
        """The streams to record."""
        return tuple(t for t in self.todo if isinstance(t, StreamPlan))

    @property
    def frames_to_do(self) -> int:
        """Frames that the shards of files are going to attempt."""
        return sum(t.frame_count for t in self.todo if isinstance(t, Shard))

    def is_over(self) -> bool:
        """Whether streams are to end, by a signal or an error."""
        return self.ending.is_set() or self.stop()


@dataclass(frozen=True, slots=True)
class RunReport:
    """What a run came to; `broken` names the shards and streams that raised, with their errors."""

    shards: tuple[ShardReport, ...] = ()
    streams: tuple[StreamReport, ...] = ()
    broken: dict[str, str] = field(default_factory=dict)
    frames_before: int = 0
    failed_before: int = 0
    wall_s: float = 0.0
    lanes: int = 1
    device: str = "cpu"
    notes: tuple[str, ...] = ()
    stopped: bool = False
    """Whether a signal ended it: the streams' shards are committed, and `Stopped` wasn't raised."""

    @property
    def parts(self) -> tuple[ShardReport | StreamReport, ...]:
        """The reports of all shards and streams."""
        return (*self.shards, *self.streams)

    @property
    def frames(self) -> int:
        """Frames attempted in this run."""
        return sum(p.totals.frames for p in self.parts)

    @property
    def placed(self) -> int:
        """Frames of this run that have a position."""
        return sum(p.totals.placed for p in self.parts)

    @property
    def usable(self) -> int:
        """Frames of this run that pass the thresholds of the config."""
        return sum(p.totals.usable for p in self.parts)

    @property
    def failed(self) -> int:
        """Frames of this run that failed."""
        return sum(p.totals.failed for p in self.parts)

    @property
    def all_failed(self) -> bool:
        """Whether this run attempted frames and every one of them failed."""
        return 0 < self.frames == self.failed

    def total(self, stage: str) -> float:
        """Busy seconds of a stage (`read_s`, `infer_s`, `write_s`) over all shards and streams."""
        return float(sum(getattr(p.seconds, stage) for p in self.parts))

    def mean_shares(self) -> list[float]:
        """The mean of each class's share of the picture, over the frames of this run that have
        valid pixels: each frame counts the same, whatever its resolution. Empty where there is
        none."""
        shown = sum(p.totals.shown for p in self.parts)
        if not shown:
            return []
        return [
            float(sum(c)) / shown for c in zip(*(p.totals.shares for p in self.parts), strict=True)
        ]


def report_of(
    ready: Prepared,
    parts: list[ShardReport | StreamReport],
    broken: dict[str, str],
    wall_s: float,
) -> RunReport:
    """Put the reports of shards and streams together. Raises the first stream's error where no
    stream gave anything at all."""
    streams = tuple(p for p in parts if isinstance(p, StreamReport))
    errors = {s.name: s.error for s in streams if s.error is not None}
    if errors and len(errors) == len(parts) and not any(s.totals.frames for s in streams):
        raise next(iter(errors.values()))
    return RunReport(
        tuple(p for p in parts if isinstance(p, ShardReport)),
        streams,
        broken | {name: one_line(error) for name, error in errors.items()},
        frames_before=ready.frames_done,
        failed_before=ready.failed_before,
        wall_s=wall_s,
        lanes=ready.worker.lanes if ready.worker else 1,
        device=ready.worker.device if ready.worker else "cpu",
        notes=(*ready.notes, *(_shrunk(ready.worker) if ready.worker else ())),
        stopped=bool(streams) and stopping.STOP.is_set(),
    )


def _shrunk(worker: SegmentationWorker) -> list[str]:
    """What has to be said where the device ran out of memory."""
    if not worker.shrunk_from:
        return []
    if worker.shrunk_from == worker.batch_size:
        return [
            f"{worker.device} ran out of memory with single frames, which were done again; "
            "worker.lanes=1 may avoid that"
        ]
    return [
        f"{worker.device} ran out of memory: batches of {worker.shrunk_from} were halved to "
        f"{worker.batch_size} and done again; worker.batch_size={worker.batch_size} avoids that"
    ]
