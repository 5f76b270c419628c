"""CSV tracks: any table gives a track, or one of the two errors that the reader names."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from segpipe.core.errors import ConfigError, SourceError
from segpipe.telemetry.table import looks_like_track, read_csv
from segpipe.telemetry.table_columns import KNOWN
from segpipe.telemetry.track import Track
from tests.fuzz.support import check_track, file_of, little_memory


def read(content: bytes, timezone: str | None = None) -> Track | None:
    """The track of a table, None where it was refused as the reader says."""
    with file_of(content, ".csv") as path, little_memory():
        looks_like_track(path)
        try:
            track = read_csv(path, {}, timezone)
        except (SourceError, ConfigError):
            return None
    check_track(track)
    return track


_HEADERS = [name for names in KNOWN.values() for name in names] + ["speed (km/h)", "knots", "note"]
_zones = st.sampled_from([None, "UTC", "Europe/London", "Pacific/Apia"])
_times = st.one_of(
    st.datetimes().map(str),
    st.datetimes(timezones=st.timezones()).map(str),
    st.sampled_from(["0001-01-01", "9999-12-31T23:59:59.999999-23:59", "2020-W01-1", "24:00", "٣"]),
)
_cells = st.one_of(
    st.floats().map(str),
    st.integers().map(str),
    st.sampled_from(["1e18", "1e19", "1e300", "-1e300", "nan", "inf", "1_0", "", '"', "=1+1"]),
    _times,
    st.text(max_size=12),
)


def _as_csv(rows: list[list[str]], delimiter: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode("utf-8", "surrogatepass")


_tables = st.builds(
    lambda extra, rows, delimiter: _as_csv(
        [["time", "latitude", "longitude", *extra], *rows], delimiter
    ),
    st.lists(st.sampled_from(_HEADERS), max_size=4),
    st.lists(
        st.tuples(st.one_of(_times, _cells), _cells, _cells, _cells, _cells, _cells).map(list),
        max_size=6,
    ),
    st.sampled_from(",;\t"),
)


@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(str.encode)), _zones)
def test_any_file_gives_a_track_or_an_error_of_ours(content: bytes, zone: str | None) -> None:
    read(content, zone)


@given(_tables, _zones)
@example(b"time,lat,lon\n1e19,1,2\n", None)  # OverflowError: no room in 64 bits
@example(b"time,lat,lon\n-9223372036854775808,1,2\n1,1,2\n", None)
def test_odd_tables_give_a_track_or_an_error_of_ours(content: bytes, zone: str | None) -> None:
    read(content, zone)


@given(
    st.lists(
        st.tuples(
            st.datetimes(datetime(1970, 1, 1), datetime(2199, 1, 1)),
            st.floats(-90, 90),
            st.floats(-180, 180),
        ),
        min_size=1,
        max_size=8,
    ),
    st.sampled_from(",;\t"),
)
def test_a_table_is_read_as_it_was_written(
    fixes: list[tuple[datetime, float, float]], delimiter: str
) -> None:
    rows = [[f"{t.isoformat()}Z", repr(lat), repr(lon)] for t, lat, lon in fixes]
    track = read(_as_csv([["time", "lat", "lon"], *rows], delimiter))
    assert track is not None
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    expected = [(t.replace(tzinfo=UTC) - epoch) // timedelta(microseconds=1) for t, _, _ in fixes]
    np.testing.assert_array_equal(track.time_us, expected)
    np.testing.assert_array_equal(track.latitude, [lat for _, lat, _ in fixes])
    np.testing.assert_array_equal(track.longitude, [lon for _, _, lon in fixes])
