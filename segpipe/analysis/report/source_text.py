"""A source's facts as lines for people: time, place, drive, ego mask, notes."""

from __future__ import annotations

from datetime import UTC, datetime

import cv2
import numpy as np
from numpy.typing import NDArray

from segpipe.core.text import counted
from segpipe.core.video_streams import numbered
from segpipe.sources import source_of
from segpipe.telemetry.metadata import Clock, SourceMetadata
from segpipe.telemetry.track import LOCATION

COLUMNS = 48
_TALL = 2.1
"""Height of a character in a terminal, in widths."""


def describe_metadata(facts: SourceMetadata, track_length_m: float | None) -> list[str]:
    """Lines about a source; `track_length_m` is the length of its track in metres."""
    lines = [f"time:  {_time(facts)}", f"place: {_track(facts, track_length_m)}"]
    if facts.file is not None and len(facts.file.streams) > 1:
        lines.insert(
            0, f"video: stream {facts.stream} of its file, which has {numbered(facts.file.streams)}"
        )
    if facts.drive_index or facts.drive_id != facts.info.source_id:
        gap = (
            ""
            if facts.gap_before_s is None
            else f", {facts.gap_before_s:.1f} s after the clip before"
        )
        lines.append(f"drive: clip {facts.drive_index + 1} of {facts.drive_id}{gap}")
    if facts.ego is not None:
        lines += [
            f"ego mask: {facts.ego.mean() * 100:.1f} % of the frame doesn't count",
            *mask_as_text(facts.ego),
        ]
    return lines + [f"note:  {n}" for n in facts.notes]


def _time(facts: SourceMetadata) -> str:
    if source_of(facts.info.kind).files_are_frames:
        return f"each image its own ({_counted(facts.clocks)})"
    if facts.start_us is None:
        return f"not known ({_counted(facts.clocks)})"
    shift = f", shifted by {facts.offset_s:g} s" if facts.offset_s else ""
    others = [
        f"{c.source} {_iso(c.utc_us)}" if c.utc_us is not None else f"{c.source} {c.raw} ({c.note})"
        for c in facts.clocks
        if c.source != facts.start_source
    ]
    return f"{_iso(facts.start_us)} by {facts.start_source}{shift}" + (
        f"; other clocks: {', '.join(others)}" if others else ""
    )


def _counted(clocks: tuple[Clock, ...]) -> str:
    names = sorted({c.source for c in clocks})
    return "clocks: " + (
        ", ".join(f"{n} {sum(c.source == n for c in clocks)}" for n in names) or "none"
    )


def _track(facts: SourceMetadata, track_length_m: float | None) -> str:
    if facts.track is None:
        return "no track"
    dropped = ", ".join(f"{n} {reason}" for reason, n in facts.track.dropped.items())
    length = "" if track_length_m is None else f", {track_length_m:.0f} m"
    if facts.track.source == LOCATION:
        return f"{LOCATION}, one position for all frames"
    return f"{facts.track.source}, {counted(len(facts.track), 'fix', 'fixes')}{length}" + (
        f" ({dropped})" if dropped else ""
    )


def _iso(time_us: int) -> str:
    return (
        datetime.fromtimestamp(time_us / 1e6, UTC)
        .isoformat(timespec="milliseconds")
        .replace("+00:00", "Z")
    )


def mask_as_text(mask: NDArray[np.bool_]) -> list[str]:
    """A mask bool [H, W] as a small picture of characters, # where it is set."""
    height, width = mask.shape
    rows = max(1, round(COLUMNS * height / width / _TALL))
    small = cv2.resize(mask.astype(np.float32), (COLUMNS, rows), interpolation=cv2.INTER_AREA)
    return ["".join("#" if value > 0.5 else "." for value in row) for row in small]
