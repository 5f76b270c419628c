"""Events: from frames that fulfil a condition to intervals that can be looked at, listed and
mapped."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import pyarrow as pa

from segpipe.analysis.conditions import check_names
from segpipe.analysis.queries import rows
from segpipe.core.errors import ConfigError

if TYPE_CHECKING:
    import duckdb
    import geopandas

MIN_SECONDS, MAX_GAP_S = 1.0, 0.5
MIN_METRES, MAX_GAP_M = 10.0, 10.0


def find_events(
    connection: duckdb.DuckDBPyConnection,
    where: str,
    by: Literal["time", "metres"] = "time",
    min_seconds: float | None = None,
    max_gap_s: float | None = None,
    min_metres: float | None = None,
    max_gap_m: float | None = None,
) -> pa.Table:
    """Intervals, per source, of the frames with at least one observation that fulfils `where`, SQL
    over `observations`.

    `by` says what joins frames: gaps of up to `max_gap_s` seconds (default 0.5) of the video, or of
    up to `max_gap_m` metres (default 10) of the track; frames without a track can't be placed by
    metres and are left out. Events of less than `min_seconds` (default 1 by time, else 0) or
    `min_metres` (default 10 by metres, else 0) are dropped.

    A frame of a video stands for the median step of its source: n frames at 10/s last n/10 s.
    Photographs have no duration: an event of them has frames (the photographs), metres from the
    first to the last, and null seconds. The gaps hold between photographs, too; `min_seconds`
    doesn't apply to them, and `min_metres` only where it is given.

    Columns: source_id, drive_id, uri, start_s, end_s and peak_s (video time), seek_s (what a player
    seeks by), start_time, peak_time, end_time (UTC), seconds, metres (null without a track),
    frames, peak (the largest pixel_fraction of the rows that fulfil `where`), and latitude and
    longitude of start, peak and end. Raises ConfigError.
    """
    settings = _settings(by, min_seconds, max_gap_s, min_metres, max_gap_m)
    _match(connection, where)
    found = rows(connection, "events", join_by=by, **settings)
    connection.execute("DROP TABLE matches")
    return found


def _settings(
    by: Literal["time", "metres"],
    min_seconds: float | None,
    max_gap_s: float | None,
    min_metres: float | None,
    max_gap_m: float | None,
) -> dict[str, float]:
    """The limits by their names in the query, defaults filled in. Raises ConfigError."""
    if by not in {"time", "metres"}:
        raise ConfigError(f"by {by!r}: events are joined by 'time' or by 'metres'")
    wrong = max_gap_m if by == "time" else max_gap_s
    if wrong is not None:
        other = "metres" if by == "time" else "time"
        raise ConfigError(
            f"a gap of {wrong:g} {'metres' if by == 'time' else 'seconds'} has no meaning by "
            f"{by}: choose by {other}"
        )
    settings = {
        "min_seconds": _or(min_seconds, MIN_SECONDS if by == "time" else 0.0),
        "min_metres": _or(min_metres, MIN_METRES if by == "metres" else 0.0),
        "max_gap": _or(max_gap_s, MAX_GAP_S) if by == "time" else _or(max_gap_m, MAX_GAP_M),
        "min_metres_of_photos": _or(min_metres, 0.0),
    }
    bad = [
        f"{name} {value:g}"
        for name, value in settings.items()
        if not (math.isfinite(value) and value >= 0)
    ]
    if bad:
        raise ConfigError(f"{', '.join(bad)}: must be 0 or more")
    return settings


def _or(value: float | None, default: float) -> float:
    return default if value is None else float(value)


def _match(connection: duckdb.DuckDBPyConnection, where: str) -> None:
    """The table `matches`. `where` goes through the parser as one expression, so it can't end the
    statement."""
    import duckdb

    columns = connection.view("observations").columns
    try:
        if ";" in where:
            raise ConfigError("a semicolon")
        matching = connection.view("observations").filter(duckdb.SQLExpression(where))
        matching.aggregate("frame_id, max(pixel_fraction) AS value", "frame_id").create_view(
            "matching", replace=True
        )
        connection.execute("CREATE OR REPLACE TEMP TABLE matches AS SELECT * FROM matching")
        connection.execute("DROP VIEW matching")
    except (duckdb.InterruptException, duckdb.OutOfMemoryException):
        raise
    except (duckdb.Error, ConfigError) as error:
        text = str(error).partition("\n")[0].rstrip()
        raise ConfigError(
            f"where {where!r}: {text}; give one SQL condition, such as \"class = 'pedestrian' "
            "and region = 'path'\", over the "
            f"columns {', '.join(columns)}"
        ) from None
    check_names(connection, where)


def as_geometry(events: pa.Table) -> geopandas.GeoDataFrame:
    """Events with the position of their peak as geometry (CRS84; none where it isn't known), to be
    written as a layer."""
    import geopandas

    frame = events.to_pandas()
    points = geopandas.points_from_xy(frame["peak_longitude"], frame["peak_latitude"])
    points[frame["peak_latitude"].isna().to_numpy()] = None
    return geopandas.GeoDataFrame(frame, geometry=points, crs="OGC:CRS84")
