"""GPMF of cameras, GPS9: any bytes give fixes or None."""

from __future__ import annotations

import struct

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from segpipe.telemetry.gpmf import Samples, gps9_samples
from segpipe.telemetry.track import NO_TIME
from tests.fuzz.support import little_memory

_SCALE = (10_000_000, 10_000_000, 1000, 1000, 100, 1, 1000, 100, 1)
_ROW = struct.Struct(">iiiiiiiHH")
_LETTERS = b"lllllllSS"


def entry(key: bytes, kind: bytes, size: int, count: int, data: bytes) -> bytes:
    """An entry of GPMF, padded; what it says of its size may be wrong."""
    return struct.pack(">4scBH", key, kind, size, count) + data + b"\0" * (-len(data) % 4)


def nested(key: bytes, data: bytes) -> bytes:
    """An entry that holds entries."""
    return entry(key, b"\0", 1, len(data), data)


def payload_of(fixes: list[tuple[int, ...]]) -> bytes:
    """A payload as a camera writes it."""
    stream = entry(b"TYPE", b"c", 1, len(_LETTERS), _LETTERS)
    stream += entry(b"SCAL", b"l", 4, len(_SCALE), struct.pack(">9i", *_SCALE))
    rows = b"".join(_ROW.pack(*fix) for fix in fixes)
    stream += entry(b"GPS9", b"?", _ROW.size, len(fixes), rows)
    return nested(b"DEVC", nested(b"STRM", stream))


_keys = st.sampled_from([b"DEVC", b"STRM", b"GPS9", b"SCAL", b"TYPE", b"STMP"])
_bytes = st.integers(0, 255)
_entries = st.builds(
    lambda key, kind, size, count, data: entry(key, bytes([kind]), size, count, data),
    _keys,
    st.one_of(_bytes, st.sampled_from(list(b"bBsSlLjJfdc?"))),
    st.one_of(_bytes, st.sampled_from([0, 1, 2, 4, 8, 32])),
    st.one_of(st.integers(0, 20), st.integers(0, 65_535)),
    st.binary(max_size=80),
)
_honest = st.builds(
    lambda key, size, data: entry(key, b"l", size, len(data) // max(size, 1), data),
    _keys,
    st.sampled_from([0, 1, 4, 32]),
    st.binary(max_size=128),
)
_HONEST = {
    b"TYPE": entry(b"TYPE", b"c", 1, len(_LETTERS), _LETTERS),
    b"SCAL": entry(b"SCAL", b"l", 4, len(_SCALE), struct.pack(">9i", *_SCALE)),
    b"GPS9": entry(b"GPS9", b"?", _ROW.size, 2, _ROW.pack(1, 2, 3, 4, 5, 9000, 7000, 120, 3) * 2),
    b"STMP": entry(b"STMP", b"J", 8, 1, struct.pack(">Q", 12_000_000)),
}


def with_entries(parts: dict[bytes, bytes]) -> bytes:
    """An honest payload with these entries instead of its own."""
    return nested(b"DEVC", nested(b"STRM", b"".join((_HONEST | parts).values())))


@st.composite
def _nearly_honest(draw: st.DrawFn) -> bytes:
    """A payload with one or two of its entries exchanged for odd ones that end where they say."""
    parts = {}
    for key in draw(st.lists(st.sampled_from(sorted(_HONEST)), min_size=1, max_size=2)):
        size, count = draw(st.sampled_from([0, 1, 2, 4, 8, 32, 36])), draw(st.integers(0, 40))
        data = draw(st.binary(min_size=size * count, max_size=size * count))
        kind = draw(st.sampled_from(list(b"bBsSlLjJfdc?")))
        parts[key] = entry(key, bytes([kind]), size, count, data)
    return with_entries(parts)


_streams = st.lists(st.one_of(_entries, _honest), max_size=6).map(
    lambda parts: nested(b"DEVC", nested(b"STRM", b"".join(parts)))
)


def _deep(levels: int) -> bytes:
    """Devices in devices, each as long as what is in it."""
    payload = b""
    for _ in range(levels):
        size = next(n for n in (1, 8, 64) if len(payload) <= n * 65_535)
        count = -(-len(payload) // size)
        payload = entry(b"DEVC", b"\0", size, count, payload.ljust(size * count, b"\0"))
    return payload


def check(samples: Samples | None) -> None:
    """What holds for anything that was decoded."""
    if samples is None:
        return
    count = len(samples.dop)
    assert samples.values.shape == (count, 4)
    assert len(samples.locked) == len(samples.utc_us) == count
    assert ((samples.utc_us == NO_TIME) | samples.locked).all()
    assert np.isfinite(samples.values[samples.locked]).all()


@given(st.one_of(st.binary(max_size=400), _streams))
def test_any_payload_gives_fixes_or_none(payload: bytes) -> None:
    with little_memory():
        check(gps9_samples(payload))


@given(_nearly_honest())
@example(with_entries({b"SCAL": entry(b"SCAL", b"l", 0, 9, b"")}))  # ZeroDivisionError
@example(with_entries({b"STMP": entry(b"STMP", b"J", 200, 1, b"\xff" * 200)}))  # OverflowError
def test_an_odd_entry_gives_fixes_or_none(payload: bytes) -> None:
    check(gps9_samples(payload))


@given(st.integers(0, 3000))
@example(1991)  # RecursionError
def test_devices_in_devices_give_fixes_or_none(levels: int) -> None:
    with little_memory():
        check(gps9_samples(_deep(levels)))


@given(st.integers(0, 300), st.integers(0, 40), st.binary(min_size=1, max_size=4))
def test_a_payload_with_damage_gives_fixes_or_none(start: int, end: int, junk: bytes) -> None:
    whole = payload_of([(1, 2, 3, 4, 5, 9000, 7000, 120, 3)] * 4)
    damaged = whole[:start] + junk + whole[start + len(junk) :]
    check(gps9_samples(damaged[: len(damaged) - end]))


@given(
    st.lists(
        st.tuples(
            *[st.integers(-(2**31), 2**31 - 1)] * 7, st.integers(0, 65_535), st.integers(0, 5)
        ),
        min_size=1,
        max_size=20,
    )
)
def test_fixes_are_read_as_they_were_written(fixes: list[tuple[int, ...]]) -> None:
    samples = gps9_samples(payload_of(fixes))
    assert samples is not None
    check(samples)
    expected = np.array(fixes, np.float64)[:, :4] / _SCALE[:4]
    np.testing.assert_array_equal(samples.values, expected)
    np.testing.assert_array_equal(samples.locked, [fix[8] in {2, 3} for fix in fixes])
