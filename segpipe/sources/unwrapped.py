"""Times that begin anew in the middle of a file, made to go on."""

from __future__ import annotations

from fractions import Fraction

JITTER_S = Fraction(1, 5)


class Unwrapped:
    """Offsets that let times go on where they begin anew: decoding times only grow, but for the jitter of a damaged file, which is
    smaller than `JITTER_S`. All times here are in units of `time_base` seconds."""

    def __init__(self, time_base: Fraction) -> None:
        self.jitter, self.offsets = round(JITTER_S / time_base), [0]
        self._last: int | None = None
        self._step = 0

    def offset(self, dts: int) -> int:
        """What is to be added to the times of the packet with this decoding time."""
        if self._last is not None:
            if dts < self._last - self.jitter:
                self.offsets.append(self.offsets[-1] + self._last + max(1, self._step) - dts)
            elif dts > self._last:
                self._step = dts - self._last
        self._last = dts
        return self.offsets[-1]
