"""What has to be said of a source whose time is worth little."""

from __future__ import annotations

from segpipe.telemetry.metadata import Clock, SourceMetadata
from segpipe.telemetry.time_map import Rate

_NO_TIME = "no frame has a time; give time.start, or leave embedded out of track.order"
_UNKNOWN_S = 0.05
"""Less than a frame or two without a time isn't worth a note."""


def clock_notes(chosen: str | None, clocks: tuple[Clock, ...]) -> list[str]:
    """The note on a time that no good clock gave: what else there was, and why it wasn't used."""
    if chosen not in {None, "mtime"}:
        return []
    unused = ", ".join(
        sorted({f"{c.source} ({c.note})" for c in clocks if c.note and c.utc_us is None})
    )
    said = (
        "no clock can be used"
        if chosen is None
        else "the time is the file's modification time, which a copy may have changed"
    )
    return [
        said
        + (f"; not used: {unused}" if unused else "")
        + "; time.start or time.timezone can help"
    ]


def rate_notes(rate: Rate, facts: SourceMetadata) -> list[str]:
    """The notes on how UTC runs against the film, and on frames whose time isn't known for that."""
    if not rate.known:
        taken = "the film is taken at its own speed" if facts.start_us is not None else _NO_TIME
        return [f"{note}: {taken}" for note in rate.notes]
    unknown_s = 0.0
    if facts.time_map is not None and facts.duration_s is not None:
        unknown_s = facts.time_map.unknown_s(0.0, facts.duration_s)
    said = f"{unknown_s:.1f} s of the film have no time: the telemetry has no UTC there"
    return [*rate.notes, *([said] if unknown_s > _UNKNOWN_S else [])]
