"""Logs of NMEA 0183: any text gives a track, or a SourceError."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from segpipe.core.errors import SourceError
from segpipe.telemetry.nmea import looks_like_nmea, read_nmea
from segpipe.telemetry.track import Track
from tests.fuzz.support import check_track, file_of, little_memory

RMC = "GPRMC,120000.00,A,4807.038,N,01131.000,E,022.4,084.4,230394,003.1,W"
GGA = "GPGGA,120000.00,4807.038,N,01131.000,E,1,08,0.9,545.4,M,46.9,M,,"
ZDA = "GPZDA,120000.00,23,03,1994,00,00"


def sentence(body: str) -> str:
    """A sentence with its right checksum, whatever it says."""
    total = 0
    for byte in body.encode("ascii", "replace"):
        total ^= byte
    return f"${body}*{total:02X}"


def read(content: bytes) -> Track | None:
    """The track of a log, None where it was refused as the reader says."""
    with file_of(content, ".nmea") as path, little_memory():
        looks_like_nmea(path)
        try:
            track = read_nmea(path)
        except SourceError:
            return None
    check_track(track)
    return track


_ODD = [
    "",
    "0",
    "-1",
    "nan",
    "inf",
    "1e999",
    "9" * 20,
    "240000",
    "235960.99",
    "A",
    "V",
    "N",
    "320194",
]
_cells = st.one_of(
    st.sampled_from(_ODD),
    st.integers().map(str),
    st.floats().map(str),
    st.text(st.characters(codec="ascii"), max_size=12),
)


@st.composite
def _bodies(draw: st.DrawFn) -> str:
    """A sentence with some of its cells exchanged, added or left out."""
    cells = draw(st.sampled_from([RMC, GGA, ZDA])).split(",")
    for _ in range(draw(st.integers(0, 3))):
        cells[draw(st.integers(1, len(cells) - 1))] = draw(_cells)
    return ",".join(cells[: draw(st.integers(1, len(cells)))] + draw(st.lists(_cells, max_size=2)))


_queries = st.builds(
    lambda talker, kind: f"GP{talker}Q,{kind}",
    st.sampled_from(["GP", "GG", "II"]),
    st.sampled_from(["RMC", "GGA", "ZDA"]),
)
_lines = st.one_of(
    _bodies().map(sentence),
    _queries.map(sentence),
    st.text(st.characters(codec="ascii"), max_size=60),
    st.sampled_from([RMC, GGA, ZDA]).map(sentence),
)


@given(st.binary(max_size=300))
def test_any_bytes_give_a_track_or_a_source_error(content: bytes) -> None:
    read(content)


@given(st.lists(_lines, max_size=8))
@example([sentence("GPGPQ,RMC")])  # a request for a sentence raised AttributeError
@example([sentence(f"GPZDA,120000.00,23,03,{10**30},00,00"), sentence(GGA)])  # OverflowError
@example([sentence(RMC.replace("022.4", "inf"))])  # an infinite speed in the track
@example([sentence(GGA.replace("545.4", "1e999")), sentence(RMC)])  # an infinite altitude
@example(["", sentence(RMC)])  # an empty line was counted as a kind of dropped line, 0 times
def test_odd_sentences_give_a_track_or_a_source_error(lines: list[str]) -> None:
    read("\n".join(lines).encode("ascii", "replace"))


@given(st.text(st.characters(codec="ascii"), max_size=20), st.integers(0, 23), st.integers(0, 59))
def test_a_whole_sentence_is_read_whatever_stands_before_it(
    before: str, hour: int, minute: int
) -> None:
    body = RMC.replace("120000.00", f"{hour:02}{minute:02}00.00")
    track = read(f"{before.splitlines()[0] if before.strip() else ''}{sentence(body)}\n".encode())
    assert track is not None
    assert len(track) == 1
    assert track.time_us[0] % 86_400_000_000 == (hour * 60 + minute) * 60_000_000
