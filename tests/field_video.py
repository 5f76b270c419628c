"""H.264 and MPEG-2 pictures coded as two fields, written bit by bit: no encoder at hand codes
them."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av

SIZE = 32
"""Width and height of a picture: two fields of two macroblocks each."""
GOP = 5
"""Pictures from one key picture to the next."""


class BitWriter:
    def __init__(self) -> None:
        self.bits = ""

    def put(self, value: int, count: int) -> BitWriter:
        self.bits += format(value, f"0{count}b") if count else ""
        return self

    def ue(self, *values: int) -> BitWriter:
        for value in values:
            self.put(value + 1, 2 * (value + 1).bit_length() - 1)
        return self

    def pcm(self, data: bytes) -> BitWriter:
        self.bits += "0" * (-len(self.bits) % 8)
        return self.put(int.from_bytes(data, "big"), len(data) * 8)

    def plain(self, code: int) -> bytes:
        """Behind this start code of MPEG-2, filled up with zeros."""
        bits = self.bits + "0" * (-len(self.bits) % 8)
        return b"\x00\x00\x01" + bytes([code]) + int(bits, 2).to_bytes(len(bits) // 8, "big")

    def unit(self, header: int) -> bytes:
        """As a unit with its start code: closed by a one, and no start code within."""
        bits = self.bits + "1"
        bits += "0" * (-len(bits) % 8)
        data, out, zeros = int(bits, 2).to_bytes(len(bits) // 8, "big"), bytearray([header]), 0
        for byte in data:
            if zeros >= 2 and byte <= 3:
                out.append(3)
                zeros = 0
            out.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\x00\x00\x00\x01" + bytes(out)


def parameter_sets() -> bytes:
    """Main profile, interlaced, frame numbers of 4 bits, shown in the order of coding."""
    sequence = BitWriter().put(77, 8).put(0, 8).put(30, 8).ue(0, 0, 2, 1).put(0, 1)
    sequence.ue(SIZE // 16 - 1, SIZE // 32 - 1).put(0b00100, 5)
    picture = BitWriter().ue(0, 0).put(0, 2).ue(0, 0, 0).put(0, 3).ue(0, 0, 0).put(0b100, 3)
    return sequence.unit(0x67) + picture.unit(0x68)


def coded(number: int, kind: str = "frame") -> bytes:
    """A picture, or a field of it (`top` comes first, then `bottom`), all of one brightness."""
    idr = number % GOP == 0 and kind != "bottom"
    bits = BitWriter().ue(0, 7, 0).put(number % GOP, 4)
    bits.put(
        0b0 if kind == "frame" else 0b11 if kind == "bottom" else 0b10, 1 if kind == "frame" else 2
    )
    if idr:
        bits.ue(number // GOP % 2).put(0, 2)
    else:
        bits.put(0, 1)
    bits.ue(0, 1)  # the quantiser stays, nothing is deblocked
    for _ in range(4 if kind == "frame" else 2):
        bits.ue(25).pcm(bytes([brightness(number)]) * 256 + bytes([128]) * 128)
    return (parameter_sets() if idr else b"") + bits.unit(0x65 if idr else 0x61)


LUMA_SIZES = ("100", "00", "01", "101", "110", "1110", "11110", "111110", "1111110")
"""MPEG-2's codes for the number of bits of a luma block's difference."""


def coded_mpeg2(number: int, kind: str = "frame") -> bytes:
    """The same in MPEG-2: each macroblock has the brightness, and nothing else."""
    head = b""
    if kind != "bottom":
        sequence = (
            BitWriter()
            .put(SIZE, 12)
            .put(SIZE, 12)
            .put(0x13, 8)
            .put(1000, 18)
            .put(1, 1)
            .put(20, 10)
            .put(0, 3)
        )
        extension = (
            BitWriter()
            .put(1, 4)
            .put(0x48, 8)
            .put(1, 3)
            .put(0, 16)
            .put(1, 1)
            .put(0, 8)
            .put(1, 1)
            .put(0, 7)
        )
        head = sequence.plain(0xB3) + extension.plain(0xB5)
    picture = BitWriter().put(number % 1024, 10).put(1, 3).put(0xFFFF, 16).put(0, 1)
    structure = {"top": 1, "bottom": 2, "frame": 3}[kind]
    details = (
        BitWriter()
        .put(0x8FFFF, 20)
        .put(structure, 4)
        .put(kind == "frame", 1)
        .put(kind == "frame", 1)
        .put(0, 8)
    )
    data = head + picture.plain(0) + details.plain(0xB5)
    difference = brightness(number) - 128
    size = abs(difference).bit_length()
    for row in range(2 if kind == "frame" else 1):
        slice_ = BitWriter().put(1, 5).put(0, 1)
        for column in range(2):
            slice_.bits += "11"
            for block in range(6):
                if block == 0 and column == 0:
                    slice_.bits += LUMA_SIZES[size]
                    slice_.put(difference if difference > 0 else difference + (1 << size) - 1, size)
                else:
                    slice_.bits += LUMA_SIZES[0] if block < 4 else "00"
                slice_.bits += "10"
        data += slice_.plain(row + 1)
    return data


def brightness(number: int) -> int:
    """Of a picture's luma."""
    return 40 + 8 * (number % 20)


def packets(
    kinds: str, together: bool = False, mpeg2: bool = False
) -> list[tuple[int, int, bytes]]:
    """Packets of pictures that are coded as frames (`F`) or in fields (`p`): each with its picture,
    its field (0 or 1) and its data. With `together` both fields are in one packet."""
    found = []
    picture = coded_mpeg2 if mpeg2 else coded
    for number, kind in enumerate(kinds):
        if kind == "F":
            found.append((number, 0, picture(number)))
        elif together:
            found.append((number, 0, picture(number, "top") + picture(number, "bottom")))
        else:
            found += [(number, 0, picture(number, "top")), (number, 1, picture(number, "bottom"))]
    return found


def write(path: Path, kinds: str, together: bool = False, mpeg2: bool = False) -> Path:
    """A video of 25 pictures a second."""
    raw = path.with_suffix(".raw")
    raw.write_bytes(b"".join(data for _, _, data in packets("Fp" * GOP, mpeg2=mpeg2)))
    with (
        av.open(str(raw), format="mpegvideo" if mpeg2 else "h264") as template,
        av.open(str(path), "w") as container,
    ):
        stream = container.add_stream_from_template(template.streams.video[0])
        for number, half, data in packets(kinds, together, mpeg2):
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 50)
            packet.pts = packet.dts = 2 * number + half
            packet.duration = 2 if together or kinds[number] == "F" else 1
            packet.is_keyframe = number % GOP == 0 and half == 0
            container.mux(packet)
    raw.unlink()
    return path
