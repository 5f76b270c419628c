"""What a stream came to: sums over its shards, and its gaps as rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from segpipe.pipeline.totals import Seconds, Totals
from segpipe.sources.stream.gaps import Gap


@dataclass(frozen=True, slots=True)
class StreamReport:
    """What a stream came to: its frames, the frames dropped on lag, the times it was connected
    again, and its gaps with their seconds (lag apart, for there are frames within). `error` says
    why it ended where it wasn't asked to."""

    source_id: str
    totals: Totals
    seconds: Seconds
    shards: int = 0
    dropped: int = 0
    reconnects: int = 0
    gaps: int = 0
    gap_s: float = 0.0
    error: BaseException | None = None

    @property
    def name(self) -> str:
        """What the report of a run calls it."""
        return self.source_id


@dataclass
class StreamCounts:
    """Sums over the shards of a stream."""

    totals: Totals
    shards: int = 0
    dropped: int = 0
    reconnects: int = 0
    gaps: int = 0
    gap_s: float = 0.0

    def add_gap(self, gap: Gap) -> None:
        """Count a gap that was written."""
        self.dropped += gap.frames_dropped or 0
        if gap.kind != "lag":
            self.gaps += 1
            self.gap_s += (gap.stop_us - gap.start_us) / 1e6
            self.reconnects += (
                gap.kind in {"lost", "stall", "crash"}
                and gap.attempts > 0
                and gap.stop_pts_s is not None
            )

    def report(self, source_id: str, seconds: Seconds, error: BaseException | None) -> StreamReport:
        """The sums as a report."""
        return StreamReport(
            source_id,
            self.totals,
            seconds,
            shards=self.shards,
            dropped=self.dropped,
            reconnects=self.reconnects,
            gaps=self.gaps,
            gap_s=self.gap_s,
            error=error,
        )


def gap_row(source_id: str, gap: Gap) -> dict[str, Any]:
    """A gap as a row of the table `gaps`."""
    return {
        "source_id": source_id,
        "kind": gap.kind,
        "start_time": gap.start_us,
        "stop": gap.stop_us,
        "duration_s": (gap.stop_us - gap.start_us) / 1e6,
        "start_pts_s": gap.start_pts_s,
        "stop_pts_s": gap.stop_pts_s,
        "frames_dropped": gap.frames_dropped,
        "attempts": gap.attempts,
        "reason": gap.reason,
    }
