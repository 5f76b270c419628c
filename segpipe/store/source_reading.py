"""Rows of the table `sources`, read back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa

from segpipe.core.types import Position, SourceInfo
from segpipe.store import file_streams, masks
from segpipe.store.time_maps import read_time_map
from segpipe.telemetry.metadata import Clock, Photo, SourceMetadata
from segpipe.telemetry.track import NO_TIME, Track

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


FIX_ARRAYS = ("latitude", "longitude", "altitude_m", "speed_mps", "heading_deg", "accuracy_m")


def metadata_of_row(table: pa.Table, extra: dict[str, Any]) -> SourceMetadata:
    row = table.drop_columns(["track", "time_map", "clocks", "photos", "ego_lengths"]).to_pylist()[
        0
    ]
    ego = None
    if row["ego_height"] is not None:
        lengths = _values(table, "ego_lengths").to_numpy(zero_copy_only=False).astype(np.uint32)
        ego = masks.decode(
            np.arange(len(lengths), dtype=np.uint8) % 2,
            lengths,
            row["ego_height"],
            row["ego_width"],
        ).astype(bool)
    return SourceMetadata(
        SourceInfo(row["source_id"], row["kind"], row["uri"], extra["stream"]),
        extra["key"],
        row["media_start_s"],
        row["duration_s"],
        _us(row["start_time"]),
        row["start_source"],
        row["offset_s"],
        _read_clocks(_values(table, "clocks")),
        _track(row["track_source"], _values(table, "track"), extra["dropped"]),
        ego,
        row["drive_id"],
        row["drive_index"],
        row["gap_before_s"],
        tuple(row["notes"] or ()),
        _read_photos(_values(table, "photos")),
        tuple(extra["order"]),
        extra["max_gap_s"],
        extra["refused"],
        time_map=read_time_map(_values(table, "time_map")),
        file=file_streams.streams_of_content(extra),
    )


def _values(table: pa.Table, name: str) -> pa.Array:
    """What the one list of a column holds."""
    found = table[name].combine_chunks()
    return (found.chunk(0) if isinstance(found, pa.ChunkedArray) else found).flatten()


def _columns(fixes: pa.Array, times: tuple[str, ...]) -> dict[str, list[Any]]:
    """A struct array as lists by field; times as microseconds since 1970."""
    fields = {f.name: fixes.field(f.name) for f in fixes.type}
    return {n: (v.cast(pa.int64()) if n in times else v).to_pylist() for n, v in fields.items()}


def _read_clocks(fixes: pa.Array) -> tuple[Clock, ...]:
    c = _columns(fixes, ("utc", "other_utc"))
    rows = zip(c["source"], c["raw"], c["utc"], c["note"], c["file"], c["other_utc"], strict=True)
    return tuple(
        Clock(source, raw, utc, note or "", file, other)
        for source, raw, utc, note, file, other in rows
    )


def _read_photos(photos: pa.Array) -> tuple[Photo, ...]:
    c = _columns(photos, ("time",))
    own = zip(*(c[n] for n in FIX_ARRAYS), strict=True)
    rows = zip(
        c["key"],
        c["file"],
        c["size_bytes"],
        c["mtime_ns"],
        c["time"],
        c["time_source"],
        own,
        strict=True,
    )
    return tuple(
        Photo(
            key,
            file,
            size,
            mtime,
            time,
            source,
            None if p[0] is None else Position(p[0], p[1], "exif", *p[2:]),
        )
        for key, file, size, mtime, time, source, p in rows
    )


def _track(source: str | None, fixes: pa.Array, dropped: dict[str, int]) -> Track | None:
    if source is None:
        return None
    times = (
        fixes.field("time").cast(pa.int64()).fill_null(int(NO_TIME)).to_numpy(zero_copy_only=False)
    )
    arrays = {
        n: fixes.field(n).fill_null(float("nan")).to_numpy(zero_copy_only=False)
        for n in ("media_s", *FIX_ARRAYS)
    }
    return Track(source, times, dropped=dropped, **arrays)


def _us(moment: Any) -> int | None:
    """Microseconds since 1970 of a UTC datetime, exactly."""
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)
