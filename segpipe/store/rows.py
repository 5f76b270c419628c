"""From results and failures to Arrow tables, a few dozen frames at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from segpipe import masks
from segpipe.frames import FrameFailure, FrameRef, FrameResult
from segpipe.models.spec import ClassInfo
from segpipe.sources.identity import printable_text
from segpipe.store.schema import CLASS_STATS, FRAMES, MASKS, STATUS_ERROR, STATUS_OK


@dataclass
class RowBuffer:
    """Rows that wait to be written; `tables` gives them as Arrow and empties the buffer."""

    classes: tuple[ClassInfo, ...]
    frames: list[dict[str, Any]] = field(default_factory=list)
    stats: list[dict[str, Any]] = field(default_factory=list)
    mask_keys: list[dict[str, Any]] = field(default_factory=list)
    values: list[np.ndarray] = field(default_factory=list)
    lengths: list[np.ndarray] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.frames)

    def add_failure(self, failure: FrameFailure) -> None:
        """A frame that was attempted: a row in `frames`, none in the other tables."""
        self.frames.append(_frame_row(failure.ref) | {"status": STATUS_ERROR, "error": printable_text(failure.error)})

    def add(self, result: FrameResult) -> None:
        """A frame's row, a row per class that is present, and its mask."""
        keys, s = _keys(result.ref), result.statistics
        height, width = result.labels.shape
        self.frames.append(
            _frame_row(result.ref)
            | {
                "width": width,
                "height": height,
                "valid_pixels": s.valid_pixels,
                "status": STATUS_OK,
                "mean_confidence": s.mean_confidence,
                "mean_entropy": s.mean_entropy,
            }
        )
        for k in np.flatnonzero(s.pixel_count):
            self.stats.append(
                {
                    **keys,
                    "pts_s": result.ref.pts_s,
                    "class_id": int(k),
                    "class_name": self.classes[k].name,
                    "pixel_count": int(s.pixel_count[k]),
                    "pixel_fraction": float(s.pixel_count[k] / s.valid_pixels),
                    "mean_confidence": float(s.confidence[k]),
                    "x_min": int(s.x_min[k]),
                    "y_min": int(s.y_min[k]),
                    "x_max": int(s.x_max[k]),
                    "y_max": int(s.y_max[k]),
                    "centroid_x": float(s.centroid_x[k]),
                    "centroid_y": float(s.centroid_y[k]),
                }
            )
        values, lengths = masks.encode(result.labels)
        self.mask_keys.append(keys | {"height": height, "width": width})
        self.values.append(values)
        self.lengths.append(lengths)

    def tables(self) -> dict[str, pa.Table]:
        """The rows as tables of the schema; the buffer is empty afterwards."""
        found = {
            "frames": pa.Table.from_pylist(self.frames, FRAMES),
            "class_stats": pa.Table.from_pylist(self.stats, CLASS_STATS),
            "masks": self._mask_table(),
        }
        for rows in (self.frames, self.stats, self.mask_keys, self.values, self.lengths):
            rows.clear()
        return found

    def _mask_table(self) -> pa.Table:
        sizes = [len(v) for v in self.values]
        offsets = pa.array(np.concatenate(([0], np.cumsum(sizes))).astype(np.int32))
        flat_values = np.concatenate(self.values) if sizes else np.empty(0, np.uint8)
        flat_lengths = np.concatenate(self.lengths) if sizes else np.empty(0, np.uint32)
        columns = [pa.array([row[n] for row in self.mask_keys], MASKS.field(n).type) for n in MASKS.names[:5]]
        columns.append(pa.ListArray.from_arrays(offsets, pa.array(flat_values), type=MASKS.field("values").type))
        columns.append(pa.ListArray.from_arrays(offsets, pa.array(flat_lengths), type=MASKS.field("lengths").type))
        return pa.Table.from_arrays(columns, schema=MASKS)


def _keys(ref: FrameRef) -> dict[str, Any]:
    return {"frame_id": ref.frame_id, "source_id": ref.source_id, "frame_index": ref.frame_index}


def _frame_row(ref: FrameRef) -> dict[str, Any]:
    return {
        **_keys(ref), "pts_s": ref.pts_s, "timestamp": ref.timestamp_us, "timestamp_source": ref.timestamp_source,
        "uri": printable_text(ref.uri),
    }  # fmt: skip
