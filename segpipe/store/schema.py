"""The data contract: the three tables' columns, with a version. Never inferred; a change here is a new version."""

from __future__ import annotations

import pyarrow as pa

SCHEMA_VERSION = 1
STATUS_OK, STATUS_ERROR = "ok", "error"

_KEYS = [
    pa.field("frame_id", pa.string(), nullable=False),
    pa.field("source_id", pa.string(), nullable=False),
    pa.field("frame_index", pa.int64()),
]

FRAMES = pa.schema(
    [
        *_KEYS,
        pa.field("pts_s", pa.float64()),
        pa.field("timestamp", pa.timestamp("us", tz="UTC")),
        pa.field("timestamp_source", pa.string()),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("valid_pixels", pa.int64()),
        pa.field("mean_confidence", pa.float64()),
        pa.field("mean_entropy", pa.float64()),
        pa.field("status", pa.string(), nullable=False),
        pa.field("error", pa.string()),
    ]
)

CLASS_STATS = pa.schema(
    [
        *_KEYS,
        pa.field("pts_s", pa.float64()),
        pa.field("class_id", pa.int32(), nullable=False),
        pa.field("class_name", pa.string(), nullable=False),
        pa.field("pixel_count", pa.int64(), nullable=False),
        pa.field("pixel_fraction", pa.float64(), nullable=False),
        pa.field("mean_confidence", pa.float64(), nullable=False),
        pa.field("x_min", pa.int32(), nullable=False),
        pa.field("y_min", pa.int32(), nullable=False),
        pa.field("x_max", pa.int32(), nullable=False),
        pa.field("y_max", pa.int32(), nullable=False),
        pa.field("centroid_x", pa.float64(), nullable=False),
        pa.field("centroid_y", pa.float64(), nullable=False),
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

TABLES = {"frames": FRAMES, "class_stats": CLASS_STATS, "masks": MASKS}
COMMIT_ORDER = ("masks", "class_stats", "frames")
"""A shard whose `frames` file exists is done: it is written last and removed first."""
