"""The headers of H.264: whether a packet holds a frame or fields (ITU-T H.264, 7.3)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from segpipe.sources.video.bits import Bits, unescaped

_HIGH_PROFILES = frozenset({44, 83, 86, 100, 110, 118, 122, 128, 134, 135, 138, 139, 244})
_SEQUENCE, _PICTURE, _SLICES = 7, 8, frozenset({1, 2, 5})
_HEADER_BYTES = 64
"""The part of a slice's header that is read lies within these bytes."""


@dataclass(frozen=True, slots=True)
class Field:
    """One field: whether it is the bottom one, and the number of its picture in the order of
    coding."""

    bottom: bool
    number: int


@dataclass(frozen=True, slots=True)
class _Sequence:
    """What a slice's header can't be read without."""

    number_bits: int
    separate_planes: bool
    only_frames: bool


class SliceHeaders:
    """Parameter sets of an H.264 stream, and the fields that its slices belong to."""

    def __init__(self, extradata: bytes) -> None:
        self._sequences: dict[int, _Sequence] = {}
        self._sequence_of: dict[int, int] = {}
        self._length_bytes = 0
        try:
            if extradata[:1] == b"\x01":  # as MP4 and Matroska store it; packets are cut alike
                self._length_bytes = (extradata[4] & 3) + 1
                for unit in _listed(extradata):
                    self._learn(unit)
            else:
                for unit in _marked(extradata):
                    self._learn(unit)
        except (IndexError, ValueError):
            pass  # the packets may tell

    @property
    def may_have_fields(self) -> bool:
        """Whether a picture may be coded as two fields, as far as is known."""
        return not self._sequences or not all(s.only_frames for s in self._sequences.values())

    def fields(self, data: bytes) -> set[Field]:
        """The fields in a packet; none where it holds a frame."""
        found = set()
        for unit in _counted(data, self._length_bytes) if self._length_bytes else _marked(data):
            if unit and unit[0] & 31 in _SLICES:
                field = self._field(unit)
                if field is None:
                    return set()
                found.add(field)
            else:
                self._learn(unit)
        return found

    def _learn(self, unit: bytes) -> None:
        kind = unit[0] & 31 if unit else 0
        if kind == _SEQUENCE:
            number, sequence = _sequence(unit)
            self._sequences[number] = sequence
        elif kind == _PICTURE:
            bits = Bits(unescaped(unit[1:_HEADER_BYTES]))
            number = bits.exp_golomb()
            self._sequence_of[number] = bits.exp_golomb()

    def _field(self, unit: bytes) -> Field | None:
        bits = Bits(unescaped(unit[1:_HEADER_BYTES]))
        bits.exp_golomb()  # the slice's first macroblock
        bits.exp_golomb()  # its type
        sequence = self._sequences.get(self._sequence_of.get(bits.exp_golomb(), -1))
        if sequence is None or sequence.only_frames:
            return None
        if sequence.separate_planes:
            bits.take(2)
        number = bits.take(sequence.number_bits)
        is_field = bits.take(1)
        return Field(bool(bits.take(1)), number) if is_field else None


def _sequence(unit: bytes) -> tuple[int, _Sequence]:
    """A sequence parameter set (H.264, 7.3.2.1.1) as far as it matters, and its number."""
    bits = Bits(unescaped(unit[1:]))
    profile = bits.take(24) >> 16
    number = bits.exp_golomb()
    planes = False
    if profile in _HIGH_PROFILES:
        chroma = bits.exp_golomb()
        planes = chroma == 3 and bool(bits.take(1))
        bits.exp_golomb()  # bit depths
        bits.exp_golomb()
        bits.take(1)
        if bits.take(1):
            for place in range(12 if chroma == 3 else 8):
                _pass_scaling_list(bits, 16 if place < 6 else 64)
    number_bits = bits.exp_golomb() + 4
    order = bits.exp_golomb()
    if order == 0:
        bits.exp_golomb()
    elif order == 1:
        bits.take(1)
        bits.exp_golomb()
        bits.exp_golomb()
        for _ in range(bits.exp_golomb()):
            bits.exp_golomb()
    bits.exp_golomb()  # reference frames
    bits.take(1)
    bits.exp_golomb()  # width and height in macroblocks
    bits.exp_golomb()
    return number, _Sequence(number_bits, planes, bool(bits.take(1)))


def _pass_scaling_list(bits: Bits, size: int) -> None:
    if not bits.take(1):
        return
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed_exp_golomb()) % 256
        last = following or last


def _marked(data: bytes) -> Iterator[bytes]:
    """Units between start codes."""
    at = data.find(b"\x00\x00\x01")
    while at >= 0:
        after = data.find(b"\x00\x00\x01", at + 3)
        yield data[at + 3 : after if after >= 0 else len(data)]
        at = after


def _counted(data: bytes, length_bytes: int) -> Iterator[bytes]:
    """Units that each have their length before them."""
    at = 0
    while at + length_bytes < len(data):
        size = int.from_bytes(data[at : at + length_bytes], "big")
        at += length_bytes
        yield data[at : at + size]
        at += size


def _listed(extradata: bytes) -> Iterator[bytes]:
    """Units in an `avcC` record (ISO 14496-15): sequence sets, then picture sets."""
    at = 5
    for mask in (31, 255):
        count = extradata[at] & mask
        at += 1
        for _ in range(count):
            size = int.from_bytes(extradata[at : at + 2], "big")
            yield extradata[at + 2 : at + 2 + size]
            at += 2 + size
