"""Local times that come twice or never, because the clocks of the zone are changed: which of the
two readings is right."""

from __future__ import annotations

from dataclasses import replace

from segpipe.telemetry.metadata import Clock

_NEAR_US = 600_000_000
"""Clocks of one camera that are further apart don't tell an hour from the next."""
_FIRST = "this local time came twice; the first is taken"


def settle_by_clocks(clocks: tuple[Clock, ...]) -> tuple[Clock, ...]:
    """The clocks of one video or image; of a local time with two readings the one that another
    clock agrees with.

    Modification times have no say: cards keep them in local time, too.
    """
    sure = [
        c for c in clocks if c.utc_us is not None and c.other_us is None and c.source != "mtime"
    ]
    return tuple(_by_another(c, sure) for c in clocks)


def _by_another(clock: Clock, sure: list[Clock]) -> Clock:
    first, second = clock.utc_us, clock.other_us
    if first is None or second is None:
        return clock
    for other in sure:
        near = [us for us in (first, second) if abs(us - (other.utc_us or 0)) <= _NEAR_US]
        if len(near) == 1:
            note = f"{reading_text(first, second, near[0])}, as {other.source} says"
            return replace(clock, utc_us=near[0], other_us=None, note=note)
    return clock


def first_of_two(note: str) -> bool:
    """Whether a clock's note (`reading_text`) says that the first of two hours was taken."""
    return note.startswith(_FIRST)


def reading_text(first_us: int, second_us: int, chosen_us: int) -> str:
    """What is special about a local time with two readings, and which was taken."""
    if first_us < second_us:
        return (
            _FIRST if chosen_us == first_us else "this local time came twice; the second is taken"
        )
    return (
        "this local time was skipped; the offset "
        f"{'before' if chosen_us == first_us else 'after'} the change is taken"
    )
