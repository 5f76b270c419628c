"""Whether two datasets show the same footage: then the second is no second pass through the
street."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

_MOMENTS = """
SELECT timestamp, latitude, longitude, any_value(uri) AS uri FROM frames
WHERE usable AND timestamp IS NOT NULL AND isfinite(latitude) AND isfinite(longitude)
GROUP BY timestamp, latitude, longitude
"""
_SAME_MOMENTS = """
SELECT count(DISTINCT timestamp), min_by(m.uri, timestamp), min_by(n.uri, timestamp)
FROM footage_a AS m JOIN footage_b AS n USING (timestamp)
WHERE abs(m.latitude - n.latitude) < 0.00018
  AND abs((m.longitude - n.longitude + 540) % 360 - 180) * cos(radians(m.latitude)) < 0.00018
"""
# Two runs over the same footage may have sampled other frames of it.
_HALF_SECONDS = """
SELECT source_id, CAST(floor(2 * epoch(timestamp)) AS BIGINT) AS half,
    min_by(latitude, timestamp) AS latitude,
       min_by(longitude, timestamp) AS longitude, any_value(uri) AS uri
FROM frames WHERE usable AND timestamp IS NOT NULL AND isfinite(latitude) AND isfinite(longitude)
GROUP BY source_id, half
"""
_SAME_HALF_SECONDS = """
SELECT count(DISTINCT (m.source_id, m.half)), min_by(m.uri, m.half), min_by(n.uri, m.half)
FROM footage_a AS m
JOIN (SELECT *, unnest([half - 1, half, half + 1]) AS near FROM footage_b) AS n ON n.near = m.half
WHERE abs(m.latitude - n.latitude) < 0.00018
  AND abs((m.longitude - n.longitude + 540) % 360 - 180) * cos(radians(m.latitude)) < 0.00018
"""
# What is measured of a picture, to the last bit; pictures that can't be told apart that way (all
# black) don't count.
_LOOKS = """
SELECT sharpness, brightness, contrast, any_value(uri) AS uri FROM frames
WHERE usable AND sharpness IS NOT NULL AND brightness IS NOT NULL AND contrast IS NOT NULL
GROUP BY sharpness, brightness, contrast HAVING count(*) = 1
"""
_SAME_LOOKS = """
SELECT count(*), min_by(m.uri, sharpness), min_by(n.uri, sharpness)
FROM footage_a AS m JOIN footage_b AS n USING (sharpness, brightness, contrast)
"""
_SHARE = 0.05
"""Of the frames of the smaller dataset: a few may meet by chance, where clocks give whole
seconds."""


def same_footage(a: duckdb.DuckDBPyConnection, b: duckdb.DuckDBPyConnection) -> list[str]:
    """A line where both datasets show the same footage, wherever its files lie and whatever they
    are called; else none.

    Frames are the same if they were taken at the same moment (to the microsecond, or in the same or
    the next half second) within 20 m of each other, as no two passes are; or, for a copy whose
    clock has changed, if their pictures measure the same to the last bit.
    """
    for what, frames, query in (
        ("moments are in both, at the same places", _MOMENTS, _SAME_MOMENTS),
        ("half seconds are in both, at the same places", _HALF_SECONDS, _SAME_HALF_SECONDS),
        ("pictures are in both", _LOOKS, _SAME_LOOKS),
    ):
        count, uri_a, uri_b, fewer = _shared(a, b, frames, query)
        if count > _SHARE * fewer:
            return [
                f"A and B show the same footage: {count} {what} (such as {uri_a} in A and "
                f"{uri_b} in B). B is no second pass: "
                "what differs isn't a change of the street, so noise and significant are null"
            ]
    return []


def _shared(
    a: duckdb.DuckDBPyConnection, b: duckdb.DuckDBPyConnection, frames: str, query: str
) -> tuple[int, str, str, int]:
    """How many frames are in both, an address in each, and the number of frames of the smaller
    dataset."""
    tables = [c.sql(frames).to_arrow_table() for c in (a, b)]
    for name, table in zip(("footage_a", "footage_b"), tables, strict=True):
        a.register(name, table)
    try:
        [(count, uri_a, uri_b)] = a.execute(query).fetchall()
    finally:
        a.unregister("footage_a")
        a.unregister("footage_b")
    return count, uri_a, uri_b, min(t.num_rows for t in tables)
