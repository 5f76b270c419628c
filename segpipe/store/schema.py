"""The data contract: the tables' columns, with a version. Never inferred; a change here is a new version."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 3
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

FRAMES = pa.schema(
    [
        *_KEYS,
        pa.field("pts_s", pa.float64()),
        pa.field("timestamp", _TIME),
        pa.field("timestamp_source", pa.string()),
        pa.field("geometry", pa.binary()),
        pa.field("latitude", pa.float64()),
        pa.field("longitude", pa.float64()),
        pa.field("altitude_m", pa.float64()),
        pa.field("speed_mps", pa.float64()),
        pa.field("heading_deg", pa.float64()),
        pa.field("position_accuracy_m", pa.float64()),
        pa.field("position_source", pa.string()),
        pa.field("track_m", pa.float64()),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("valid_pixels", pa.int64()),
        pa.field("mean_confidence", pa.float64()),
        pa.field("mean_entropy", pa.float64()),
        pa.field("sharpness", pa.float64()),
        pa.field("brightness", pa.float64()),
        pa.field("contrast", pa.float64()),
        pa.field("saturated_fraction", pa.float64()),
        pa.field("changed_fraction", pa.float64()),
        pa.field("usable", pa.bool_(), nullable=False),
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
        pa.field("pixel_count", pa.int64(), nullable=False),
        pa.field("valid_pixels", pa.int64(), nullable=False),
        pa.field("pixel_fraction", pa.float64(), nullable=False),
        pa.field("mean_confidence", pa.float64(), nullable=False),
        pa.field("x_min", pa.int32(), nullable=False),
        pa.field("y_min", pa.int32(), nullable=False),
        pa.field("x_max", pa.int32(), nullable=False),
        pa.field("y_max", pa.int32(), nullable=False),
        pa.field("centroid_x", pa.float64(), nullable=False),
        pa.field("centroid_y", pa.float64(), nullable=False),
        pa.field("components", pa.int32(), nullable=False),
        pa.field("largest_component_fraction", pa.float64(), nullable=False),
    ]
)

MASKS = pa.schema(
    [
        *_KEYS,
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("values", pa.list_(pa.field("element", pa.uint8(), nullable=False)), nullable=False),
        pa.field("lengths", pa.list_(pa.field("element", pa.uint32(), nullable=False)), nullable=False),
    ]
)

GAPS = pa.schema(
    [
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("start", _TIME, nullable=False),
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
    [("source", pa.string()), ("file", pa.string()), ("raw", pa.string()), ("utc", _TIME), ("note", pa.string())]
)  # fmt: skip
FIX = pa.struct(
    [
        ("time", _TIME), ("media_s", pa.float64()), ("latitude", pa.float64()), ("longitude", pa.float64()),
        ("altitude_m", pa.float64()), ("speed_mps", pa.float64()), ("heading_deg", pa.float64()),
        ("accuracy_m", pa.float64()), ("track_m", pa.float64()),
    ]
)  # fmt: skip
_PHOTO = pa.struct(
    [
        ("file", pa.string()), ("size_bytes", pa.int64()), ("mtime_ns", pa.int64()), ("time", _TIME), ("time_source", pa.string()),
        ("latitude", pa.float64()), ("longitude", pa.float64()), ("altitude_m", pa.float64()), ("speed_mps", pa.float64()),
        ("heading_deg", pa.float64()), ("accuracy_m", pa.float64()),
    ]
)  # fmt: skip

SOURCES = pa.schema(
    [
        pa.field("source_id", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("media_start_s", pa.float64()),
        pa.field("duration_s", pa.float64()),
        pa.field("start", _TIME),
        pa.field("start_source", pa.string()),
        pa.field("offset_s", pa.float64()),
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

TABLES = {"frames": FRAMES, "class_stats": CLASS_STATS, "masks": MASKS}
"""The tables that shards are committed to; `sources` is written by the run itself, a file for each source."""
SIDE_TABLES = {"gaps": GAPS}
"""Tables that only some shards have a part of: those of live streams."""
COMMIT_ORDER = ("gaps", "masks", "class_stats", "frames")
"""A shard whose `frames` file exists is done: it is written last and removed first."""
