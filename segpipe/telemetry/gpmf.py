"""The fixes of one payload of GoPro's GPMF, and the decoding of its newer kind, GPS9, which
telemetry_parser passes over.

GPMF is a tree of entries: a key of four letters, a type, a size, a count, then the data in
big-endian order, padded to 4 bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from segpipe.telemetry.track import NO_TIME, Float64, Int64

_NUMBERS = {
    "b": "b",
    "B": "B",
    "s": "h",
    "S": "H",
    "l": "i",
    "L": "I",
    "j": "q",
    "J": "Q",
    "f": "f",
    "d": "d",
}
_YEAR_2000_S = datetime(2000, 1, 1, tzinfo=UTC).timestamp()
_GPS9_VALUES = 9
"""Latitude, longitude, altitude, 2D speed, 3D speed, days since 2000, seconds of the day, dilution
of precision, fix."""


@dataclass(frozen=True)
class Samples:
    """The fixes of one payload: `values` float64 [n, 4] are latitude, longitude, altitude in metres
    and speed in metres a second.

    `locked` bool [n] tells which have a fix, `dop` float64 [n] the dilution of precision, `utc_us`
    int64 [n] the receiver's time in microseconds since 1970 (NO_TIME where it isn't known).
    `stamp_us` is the camera's own clock at the first one.
    """

    values: Float64
    locked: NDArray[np.bool_]
    dop: Float64
    utc_us: Int64
    stamp_us: float | None = None


def gps9_samples(payload: bytes) -> Samples | None:
    """The first stream of GPS9 fixes in a payload; None where there is none or it is damaged."""
    try:
        for stream in _streams(payload):
            if "GPS9" in stream:
                return _decode(stream)
    except (struct.error, ValueError, KeyError, IndexError, ArithmeticError):
        return None
    return None


def _streams(data: bytes) -> Iterator[dict[str, tuple[str, int, bytes]]]:
    """The entries of each STRM, whatever device it is of. Devices hold no devices."""
    for key, entry in _entries(data):
        for name, stream in _entries(entry[2]) if key == "DEVC" else [(key, entry)]:
            if name == "STRM":
                yield dict(_entries(stream[2]))


def _entries(data: bytes) -> Iterator[tuple[str, tuple[str, int, bytes]]]:
    """Key, and type, size of an element and the data, of each entry that is whole."""
    place = 0
    while place + 8 <= len(data):
        key, kind, size, count = struct.unpack_from(">4scBH", data, place)
        length = size * count
        if place + 8 + length > len(data):
            return
        yield (
            key.decode("latin-1"),
            (kind.decode("latin-1"), size, data[place + 8 : place + 8 + length]),
        )
        place += 8 + length + (-length) % 4


def _decode(stream: dict[str, tuple[str, int, bytes]]) -> Samples | None:
    letters = stream["TYPE"][2].decode("latin-1").rstrip("\0")
    layout = struct.Struct(">" + "".join(_NUMBERS[letter] for letter in letters))
    _, size, data = stream["GPS9"]
    scale_kind, scale_size, scale_data = stream["SCAL"]
    scale = np.array(
        struct.unpack(f">{len(scale_data) // scale_size}{_NUMBERS[scale_kind]}", scale_data),
        np.float64,
    )
    if (
        layout.size != size
        or not len(data)
        or len(letters) != _GPS9_VALUES
        or len(scale) != _GPS9_VALUES
        or (scale == 0).any()
    ):
        return None
    rows = (
        np.array(
            [layout.unpack_from(data, place) for place in range(0, len(data), size)], np.float64
        )
        / scale
    )
    locked = np.isin(rows[:, 8], (2, 3)) & np.isfinite(rows).all(axis=1)
    # Damaged data may say anything.
    utc_s = np.where(locked, _YEAR_2000_S + rows[:, 5] * 86_400 + rows[:, 6], 0.0).clip(0.0, 1e11)
    utc_us = np.round(utc_s * 1e6).astype(np.int64)
    stamp = stream.get("STMP")
    stamp_us = float(int.from_bytes(stamp[2], "big")) if stamp is not None else None
    return Samples(rows[:, :4], locked, rows[:, 7], np.where(locked, utc_us, NO_TIME), stamp_us)
