"""Packets that hold one field of a picture: interlaced H.264 in transport streams, mostly."""

from __future__ import annotations

from typing import Any

import av

from segpipe.sources.video.h264 import Field, SliceHeaders


class FieldPairs:
    """Tells packets that hold the second field of the picture that began in the packet before.

    FFmpeg's decoders give one picture for both, with the time of the first. HEVC has no such pairs:
    there, each field is a picture. Packets are to be given in the order of coding.
    """

    def __init__(self, codec: str, extradata: bytes | None) -> None:
        self._h264 = SliceHeaders(extradata or b"") if codec == "h264" else None
        self._possible = codec == "mpeg2video" or (
            self._h264 is not None and self._h264.may_have_fields
        )
        self._open: Field | None = None

    def is_second(self, packet: av.Packet[Any]) -> bool:
        """Whether the packet's picture began in the one before."""
        if not self._possible:
            return False
        fields = self._fields(bytes(packet))
        before, self._open = self._open, None
        if len(fields) != 1:  # a frame, both fields, or nothing that can be read
            return False
        (field,) = fields
        if before is not None and before.bottom != field.bottom and before.number == field.number:
            return True
        self._open = field
        return False

    def _fields(self, data: bytes) -> set[Field]:
        if self._h264 is None:
            return _mpeg2_fields(data)
        try:
            fields = self._h264.fields(data)
        except (IndexError, ValueError):  # damaged
            fields = set()
        self._possible = self._h264.may_have_fields
        return fields


def _mpeg2_fields(data: bytes) -> set[Field]:
    """The fields in a packet of MPEG-2, told by the extension behind each picture's header."""
    found, at = set(), data.find(b"\x00\x00\x01\xb5")
    while at >= 0 and at + 6 < len(data):
        if data[at + 4] >> 4 == 8:
            structure = data[at + 6] & 3
            if structure not in (1, 2):
                return set()
            found.add(Field(structure == 2, 0))
        at = data.find(b"\x00\x00\x01\xb5", at + 4)
    return found
