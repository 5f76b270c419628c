"""From results and failures to Arrow tables, a few dozen frames at a time."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from segpipe.core.redact import redact
from segpipe.core.text import printable_text
from segpipe.core.types import FrameFailure, FrameRef, Position, Value
from segpipe.inference.measures.measuring import MeasuredFrame
from segpipe.inference.measures.table import frame_columns
from segpipe.inference.models.spec import ClassInfo
from segpipe.store import masks
from segpipe.store.geo import BBOX, box_of_point
from segpipe.store.schema import (
    CLASS_STATS,
    FRAMES,
    MASKS,
    PERMANENT,
    STATUS_ERROR,
    STATUS_OK,
    TRANSIENT,
)

_WKB_POINT = struct.Struct("<BIdd")
_PLACE_NAMES = (
    "timestamp",
    "timestamp_source",
    "latitude",
    "longitude",
    "altitude_m",
    "speed_mps",
    "heading_deg",
    "position_accuracy_m",
    "position_source",
    "odometer_m",
)


@dataclass
class RowBuffer:
    """Rows that wait to be written; `tables` gives them as Arrow and empties the buffer."""

    classes: tuple[ClassInfo, ...]
    frames: list[dict[str, Any]] = field(default_factory=list)
    stats: list[dict[str, Any]] = field(default_factory=list)
    mask_keys: list[dict[str, Any]] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    lengths: list[np.ndarray] = field(default_factory=list)
    places: PlaceDigest = field(default_factory=lambda: PlaceDigest())
    mask_bytes: int = 0

    def __len__(self) -> int:
        return len(self.frames)

    def add_failure(self, failure: FrameFailure) -> None:
        """A frame that was attempted: a row in `frames`, none in the other tables."""
        self.frames.append(
            {
                **self._frame_row(failure.ref),
                **{c.name: c.of_failed for c in frame_columns()},
                "status": STATUS_ERROR,
                "error": printable_text(redact(failure.error)),
                "error_class": TRANSIENT if failure.transient else PERMANENT,
            }
        )

    def add(self, measured: MeasuredFrame) -> None:
        """A frame's row, a row per region and class that is present, and its mask."""
        result = measured.result
        height, width = result.labels.shape
        self.frames.append(
            {
                **self._frame_row(result.ref),
                **{name: _known(value) for name, value in measured.values.items()},
                "width": width,
                "height": height,
                "status": STATUS_OK,
            }
        )
        self.stats.append(self._stats(measured))
        values, lengths = masks.encode(result.labels)
        self.mask_keys.append(_keys(result.ref) | {"height": height, "width": width})
        self.values.append(values)
        self.lengths.append(lengths)
        self.mask_bytes += values.nbytes + lengths.nbytes

    def _stats(self, measured: MeasuredFrame) -> dict[str, Any]:
        """The columns of a frame's class statistics: arrays over its regions and classes that are
        present."""
        regions = measured.result.statistics.regions
        return measured.classes | {
            "ref": measured.result.ref,
            "region": [regions[r] for r in measured.region],
            "class_id": measured.class_id.astype(np.int32),
            "class_name": [self.classes[i].name for i in measured.class_id],
        }

    def _frame_row(self, ref: FrameRef) -> dict[str, Any]:
        places = place_columns(ref)
        self.places.add(places)
        return {**_keys(ref), "pts_s": ref.pts_s, **places, "uri": printable_text(ref.uri)}

    def tables(self) -> dict[str, pa.Table]:
        """The rows as tables of the schema; the buffer is empty afterwards."""
        found = {
            "frames": pa.Table.from_pylist(self.frames, FRAMES),
            "class_stats": self._stats_table(),
            "masks": self._mask_table(),
        }
        for rows in (self.frames, self.stats, self.mask_keys, self.values, self.lengths):
            rows.clear()
        self.mask_bytes = 0
        return found

    def _stats_table(self) -> pa.Table:
        if not self.stats:
            return CLASS_STATS.empty_table()
        sizes = [len(s["class_id"]) for s in self.stats]
        columns = []
        for f in CLASS_STATS:
            if f.name in {"frame_id", "source_id", "frame_index", "pts_s"}:
                keys = pa.array([getattr(s["ref"], f.name) for s in self.stats], f.type)
                columns.append(keys.take(pa.array(np.repeat(np.arange(len(sizes)), sizes))))
            elif f.name in {"region", "class_name"}:
                columns.append(pa.array([name for s in self.stats for name in s[f.name]], f.type))
            else:
                columns.append(pa.array(np.concatenate([s[f.name] for s in self.stats]), f.type))
        return pa.Table.from_arrays(columns, schema=CLASS_STATS)

    def _mask_table(self) -> pa.Table:
        sizes = [len(v) for v in self.values]
        offsets = pa.array(np.concatenate(([0], np.cumsum(sizes))).astype(np.int32))
        flat_values = np.concatenate(self.values) if sizes else np.empty(0, np.uint8)
        flat_lengths = np.concatenate(self.lengths) if sizes else np.empty(0, np.uint32)
        columns = [
            pa.array([row[n] for row in self.mask_keys], MASKS.field(n).type)
            for n in MASKS.names[:5]
        ]
        columns.append(
            pa.ListArray.from_arrays(
                offsets, pa.array(flat_values), type=MASKS.field("values").type
            )
        )
        columns.append(
            pa.ListArray.from_arrays(
                offsets, pa.array(flat_lengths), type=MASKS.field("lengths").type
            )
        )
        return pa.Table.from_arrays(columns, schema=MASKS)


def place_columns(ref: FrameRef) -> dict[str, Any]:
    """The columns of `frames` that say when and where."""
    p = ref.position
    found = {"timestamp": ref.timestamp_us, "timestamp_source": ref.timestamp_source}
    return found | {
        "geometry": None if p is None else wkb_point(p),
        BBOX: None if p is None else box_of_point(p.longitude, p.latitude),
        "latitude": None if p is None else p.latitude,
        "longitude": None if p is None else p.longitude,
        "altitude_m": None if p is None else p.altitude_m,
        "speed_mps": None if p is None else p.speed_mps,
        "heading_deg": None if p is None else p.heading_deg,
        "position_accuracy_m": None if p is None else p.accuracy_m,
        "position_source": None if p is None else printable_text(p.source),
        "odometer_m": None if p is None else p.odometer_m,
    }


class PlaceDigest:
    """A digest of the times and positions of rows, in their order: another digest, other places."""

    def __init__(self) -> None:
        self._found = hashlib.blake2b(digest_size=8)

    def add(self, columns: dict[str, Any]) -> None:
        """Add a row's `place_columns`."""
        self._found.update(repr([columns[n] for n in _PLACE_NAMES]).encode())

    def text(self) -> str:
        return self._found.hexdigest()


def wkb_point(position: Position) -> bytes:
    """A position as a little-endian WKB point, longitude first (OGC 06-103r4)."""
    return _WKB_POINT.pack(1, 1, position.longitude, position.latitude)


def _known(value: Value) -> Value:
    """NaN is what isn't known: null."""
    return None if value != value else value


def _keys(ref: FrameRef) -> dict[str, Any]:
    return {"frame_id": ref.frame_id, "source_id": ref.source_id, "frame_index": ref.frame_index}
