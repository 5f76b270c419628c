"""What has to be said of a source whose time is worth little."""

from __future__ import annotations

from segpipe.telemetry.facts import Clock


def clock_notes(chosen: str | None, clocks: tuple[Clock, ...]) -> list[str]:
    """The note on a time that no good clock gave: what else there was, and why it wasn't used."""
    if chosen not in {None, "mtime"}:
        return []
    unused = ", ".join(sorted({f"{c.source} ({c.note})" for c in clocks if c.note}))
    said = "no clock can be used" if chosen is None else "the time is the file's modification time, which a copy may have changed"
    return [said + (f"; not used: {unused}" if unused else "") + "; time.start or time.timezone can help"]
