"""Times that begin anew in the middle of a file, made to go on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

JITTER_S = Fraction(1, 5)
"""Decoding times of a damaged file may fall by less than this without beginning anew."""
_REORDERED = 32
"""Pictures, or fields, that a codec may hold back: times that fall and are back within so many
packets belong to pictures that are shown in another order."""


@dataclass(frozen=True, slots=True)
class PacketTimes:
    """A packet in the order of coding, with its times in units of the stream's time base; None
    where the file has none. `hidden`: an edit list says that its picture isn't shown."""

    pts: int | None
    dts: int | None
    key: bool
    hidden: bool = False

    @property
    def name(self) -> int | None:
        """The time that a decoder's picture is recognised by."""
        return self.dts if self.pts is None else self.pts


def offsets_of(packets: Sequence[PacketTimes], time_base: Fraction) -> list[int]:
    """What is to be added to each packet's times, so that they go on where they begin anew, as in
    two recordings that were put one behind the other.

    Decoding times only grow, so that they tell. Packets without any say nothing. Where no packet
    has one, or presentation times stand in their place, the key frames tell: each is shown after
    all packets before it.
    """
    jitter = round(JITTER_S / time_base)
    given = [(p.dts, p.key) for p in packets if p.dts is not None]
    if not given or _are_presentation_times(given, jitter):
        return _by_key_frames(packets, jitter)
    offsets, last, step, offset = [], None, 0, 0
    for dts in (p.dts for p in packets):
        if dts is not None:
            if last is not None and dts < last - jitter:
                offset += last + max(1, step) - dts
            elif last is not None and dts > last:
                step = dts - last
            last = dts
        offsets.append(offset)
    return offsets


def _are_presentation_times(given: Sequence[tuple[int, bool]], jitter: int) -> bool:
    """Whether times fall and are soon back: those of pictures that are shown in another order do.
    A key frame's never falls so. `given`: each packet's time, and whether it is a key frame."""
    times = [time for time, _ in given]
    highest = times[0]
    for place, (time, key) in enumerate(given):
        if time < highest - jitter:
            if not key and max(times[place : place + _REORDERED]) >= highest:
                return True
            highest = time
        highest = max(highest, time)
    return False


def _by_key_frames(packets: Sequence[PacketTimes], jitter: int) -> list[int]:
    offsets: list[int] = []
    offset, first, highest, count = 0, None, None, 0
    for packet in packets:
        time = packet.name
        if time is not None:
            if highest is not None and first is not None and packet.key and time < highest - jitter:
                step = round((highest - first) / max(1, count - 1))
                offset += highest + max(1, step) - time
                first, highest, count = time, time, 0
            first = time if first is None else min(first, time)
            highest = time if highest is None else max(highest, time)
            count += 1
        offsets.append(offset)
    return offsets
