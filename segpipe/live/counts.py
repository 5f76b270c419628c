"""What a stream came to: sums over its shards, and its gaps as rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from segpipe.pipeline import ShardReport, Tally
from segpipe.sources.gaps import Gap
from segpipe.store.shard_writer import ShardWriter


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What a stream came to: its frames as those of one shard, the frames dropped on lag, the times it was connected again, and
    its gaps with their seconds (lag apart, for there are frames within). `error` says why it ended where it wasn't asked to."""

    totals: ShardReport
    shards: int = 0
    dropped: int = 0
    reconnects: int = 0
    gaps: int = 0
    gap_s: float = 0.0
    error: BaseException | None = None


@dataclass
class Counted:
    """Sums over the shards of a stream."""

    pixels: np.ndarray[Any, np.dtype[np.int64]]
    frames: int = 0
    failed: int = 0
    usable: int = 0
    shards: int = 0
    dropped: int = 0
    reconnects: int = 0
    gaps: int = 0
    gap_s: float = 0.0

    def add(self, tally: Tally, writer: ShardWriter) -> None:
        self.pixels += tally.pixels
        self.frames, self.failed = self.frames + writer.frames, self.failed + writer.failed
        self.usable, self.shards = self.usable + tally.usable, self.shards + 1

    def add_gap(self, gap: Gap) -> None:
        self.dropped += gap.frames_dropped or 0
        if gap.kind != "lag":
            self.gaps += 1
            self.gap_s += (gap.stop_us - gap.start_us) / 1e6
            self.reconnects += gap.kind in {"lost", "stall", "crash"} and gap.attempts > 0 and gap.stop_pts_s is not None

    def report(self, source_id: str, seconds: tuple[float, float, float, float], error: BaseException | None) -> StreamReport:
        """The sums as a report; `seconds` of reading, inference, writing and on the clock."""
        pixels = tuple(int(n) for n in self.pixels)
        totals = ShardReport(source_id, source_id, self.frames, self.failed, *seconds, pixels, 0, self.usable)
        return StreamReport(totals, self.shards, self.dropped, self.reconnects, self.gaps, self.gap_s, error)


def gap_row(source_id: str, gap: Gap) -> dict[str, Any]:
    """A gap as a row of the table `gaps`."""
    return {
        "source_id": source_id,
        "kind": gap.kind,
        "start": gap.start_us,
        "stop": gap.stop_us,
        "duration_s": (gap.stop_us - gap.start_us) / 1e6,
        "start_pts_s": gap.start_pts_s,
        "stop_pts_s": gap.stop_pts_s,
        "frames_dropped": gap.frames_dropped,
        "attempts": gap.attempts,
        "reason": gap.reason,
    }
