"""Reading bits out of the headers of a video stream."""

from __future__ import annotations


class Bits:
    """Reads from the first bit on. Raises IndexError behind the last one."""

    def __init__(self, data: bytes) -> None:
        self._value, self._left = int.from_bytes(data, "big"), len(data) * 8

    def take(self, count: int) -> int:
        """The next `count` bits as an unsigned number."""
        if count > self._left:
            raise IndexError("the header ends too early")
        self._left -= count
        return (self._value >> self._left) & ((1 << count) - 1)

    def exp_golomb(self) -> int:
        """The next number that is coded by Exp-Golomb: `ue(v)` in the standards."""
        zeros = 0
        while not self.take(1):
            zeros += 1
        return (1 << zeros) - 1 + self.take(zeros)

    def signed_exp_golomb(self) -> int:
        """The same, signed: `se(v)`."""
        number = self.exp_golomb()
        return (number + 1) // 2 if number % 2 else -(number // 2)


def unescaped(unit: bytes) -> bytes:
    """A unit without the bytes that keep start codes from appearing in it."""
    return unit.replace(b"\x00\x00\x03", b"\x00\x00")
