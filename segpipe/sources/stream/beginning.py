"""The beginning of a connection: packets that had been kept come at once, and when they were
there has to be found out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction

from segpipe.sources.stream.arrivals import Arrival

_HELD_S, _HELD_PACKETS = 5.0, 4096
"""At most so much is held back at a connection's beginning."""


class Beginning:
    """What a connection's first packets tell of its times: `first_s`, the media time of the first,
    and `offset_us`, the UTC (microseconds) of media time 0, None as long as none was held.

    `base` are the seconds of the packets' time unit, `step_s` the seconds between pictures,
    `steady_s` the seconds of which no packet may have come sooner than those before, for them to
    come at the camera's pace.
    """

    def __init__(self, base: Fraction | None, step_s: float, steady_s: float) -> None:
        self.base, self.step_s, self.steady_s = base, step_s, steady_s
        self.first_s = step_s
        self.offset_us: float | None = None

    def held(self, packets: Iterator[Arrival]) -> Iterator[Arrival]:
        """The same packets, the first of them held back until they come at the camera's pace."""
        held: list[Arrival] = []
        since = time.monotonic()
        better_us = 0
        for packet, arrival_us in packets:
            held.append((packet, arrival_us))
            if packet.size and packet.pts is not None and self.base is not None:
                media_s = float(packet.pts * self.base)
                self.first_s = self.first_s if self.offset_us is not None else media_s
                offset_us = arrival_us - media_s * 1e6
                if self.offset_us is None or offset_us < self.offset_us - 0.5e6 * self.step_s:
                    self.offset_us, better_us = offset_us, arrival_us
            if (
                (better_us and arrival_us - better_us > self.steady_s * 1e6)
                or len(held) >= _HELD_PACKETS
                or time.monotonic() - since > _HELD_S
            ):
                break
        yield from held
        held.clear()
        yield from packets
