"""The data contract: the tables' columns, with a version. Never inferred; a change here, or to the
columns of a measure, is a new version."""

from __future__ import annotations

import pyarrow as pa

from segpipe.inference.measures.base import Column
from segpipe.inference.measures.table import class_columns, frame_columns

SCHEMA_VERSION = 5
STATUS_OK, STATUS_ERROR = "ok", "error"
TRANSIENT, PERMANENT = "transient", "permanent"
WHOLE_FRAME = "frame"
"""The region that every frame has: all its valid pixels."""

_TIME = pa.timestamp("us", tz="UTC")
_KEYS = [
    pa.field("frame_id", pa.string(), nullable=False),
    pa.field("source_id", pa.string(), nullable=False),
    pa.field("frame_index", pa.int64()),
]

_KINDS = {
    "bool": pa.bool_(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
}


def _measured(columns: tuple[Column, ...]) -> list[pa.Field]:
    """The columns that measures declare, with meaning and unit as metadata of the fields."""
    return [
        pa.field(
            c.name,
            _KINDS[c.kind],
            c.nullable,
            {"meaning": c.meaning} | ({"unit": c.unit} if c.unit else {}),
        )
        for c in columns
    ]


_BBOX = pa.struct(
    [("xmin", pa.float64()), ("ymin", pa.float64()), ("xmax", pa.float64()), ("ymax", pa.float64())]
)

FRAMES = pa.schema(
    [
        *_KEYS,
        pa.field("pts_s", pa.float64()),
        pa.field("timestamp", _TIME),
        pa.field("timestamp_source", pa.string()),
        pa.field("geometry", pa.binary()),
        pa.field("bbox", _BBOX),
        pa.field("latitude", pa.float64()),
        pa.field("longitude", pa.float64()),
        pa.field("altitude_m", pa.float64()),
        pa.field("speed_mps", pa.float64()),
        pa.field("heading_deg", pa.float64()),
        pa.field("position_accuracy_m", pa.float64()),
        pa.field("position_source", pa.string()),
        pa.field("odometer_m", pa.float64()),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        *_measured(frame_columns()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error", pa.string()),
        pa.field("error_class", pa.string()),
    ]
)

CLASS_STATS = pa.schema(
    [
        *_KEYS,
        pa.field("pts_s", pa.float64()),
        pa.field("region", pa.string(), nullable=False),
        pa.field("class_id", pa.int32(), nullable=False),
        pa.field("class_name", pa.string(), nullable=False),
        *_measured(class_columns()),
    ]
)

MASKS = pa.schema(
    [
        *_KEYS,
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field(
            "values", pa.list_(pa.field("element", pa.uint8(), nullable=False)), nullable=False
        ),
        pa.field(
            "lengths", pa.list_(pa.field("element", pa.uint32(), nullable=False)), nullable=False
        ),
    ]
)

GAPS = pa.schema(
    [
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("start_time", _TIME, nullable=False),
        pa.field("stop", _TIME, nullable=False),
        pa.field("duration_s", pa.float64(), nullable=False),
        pa.field("start_pts_s", pa.float64()),
        pa.field("stop_pts_s", pa.float64()),
        pa.field("frames_dropped", pa.int64()),
        pa.field("attempts", pa.int32(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
    ]
)
"""When a live stream has no frames, and why."""

_CLOCK = pa.struct(
    [
        ("source", pa.string()),
        ("file", pa.string()),
        ("raw", pa.string()),
        ("utc", _TIME),
        ("note", pa.string()),
        ("other_utc", _TIME),
    ]
)
_ENTRY = pa.struct([("media_s", pa.float64()), ("elapsed_s", pa.float64())])
"""Seconds of the film, and of UTC, since the first frame; null in the latter: not known from the
entry before to the one after."""
FIX = pa.struct(
    [
        ("time", _TIME),
        ("media_s", pa.float64()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("altitude_m", pa.float64()),
        ("speed_mps", pa.float64()),
        ("heading_deg", pa.float64()),
        ("accuracy_m", pa.float64()),
        ("odometer_m", pa.float64()),
    ]
)
_PHOTO = pa.struct(
    [
        ("key", pa.string()),
        ("file", pa.string()),
        ("size_bytes", pa.int64()),
        ("mtime_ns", pa.int64()),
        ("time", _TIME),
        ("time_source", pa.string()),
        ("latitude", pa.float64()),
        ("longitude", pa.float64()),
        ("altitude_m", pa.float64()),
        ("speed_mps", pa.float64()),
        ("heading_deg", pa.float64()),
        ("accuracy_m", pa.float64()),
    ]
)

SOURCES = pa.schema(
    [
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("fingerprint", pa.string()),
        pa.field("stream", pa.int32()),
        pa.field("media_start_s", pa.float64()),
        pa.field("duration_s", pa.float64()),
        pa.field("start_time", _TIME),
        pa.field("start_source", pa.string()),
        pa.field("offset_s", pa.float64()),
        pa.field("time_map", pa.list_(_ENTRY)),
        pa.field("clocks", pa.list_(_CLOCK)),
        pa.field("drive_id", pa.string(), nullable=False),
        pa.field("drive_index", pa.int32(), nullable=False),
        pa.field("gap_before_s", pa.float64()),
        pa.field("track_source", pa.string()),
        pa.field("track_dropped", pa.int64(), nullable=False),
        pa.field("track", pa.list_(FIX)),
        pa.field("photos", pa.list_(_PHOTO)),
        pa.field("ego_height", pa.int32()),
        pa.field("ego_width", pa.int32()),
        pa.field("ego_fraction", pa.float64()),
        pa.field("ego_lengths", pa.list_(pa.uint32())),
        pa.field("notes", pa.list_(pa.string())),
    ]
)

ADDRESSES = pa.schema(
    [
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("bytes", pa.int64(), nullable=False),
        pa.field("mtime_ns", pa.int64(), nullable=False),
        pa.field("body", pa.string(), nullable=False),
        pa.field("digest", pa.string(), nullable=False),
        pa.field("first_seen", _TIME, nullable=False),
        pa.field("last_seen", _TIME, nullable=False),
    ]
)
"""Where each file was seen, and when."""

TABLES = {"frames": FRAMES, "class_stats": CLASS_STATS, "masks": MASKS}
"""The tables that shards are committed to; `sources` is written by the run itself, a file for each
source."""
SIDE_TABLES = {"gaps": GAPS}
"""Tables that only some shards have a part of: those of live streams."""
COMMIT_ORDER = ("gaps", "masks", "class_stats", "frames")
"""A shard whose `frames` file exists is done: it is written last and removed first."""
