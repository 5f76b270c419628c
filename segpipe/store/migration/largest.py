"""The box of the largest component of each class, counted from the masks: `class_stats` has it
since schema version 4."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.core.types import UInt8
from segpipe.inference.measures.components import components
from segpipe.inference.measures.regions import Regions
from segpipe.store import masks
from segpipe.store.reading import read_groups

COLUMNS = ("largest_x_min", "largest_y_min", "largest_x_max", "largest_y_max")


def lacks_boxes(rows: pa.Table) -> bool:
    """Whether rows of `class_stats` have no boxes of the largest components."""
    return not set(COLUMNS) <= set(rows.column_names)


def with_boxes(
    rows: pa.Table, mask_file: pq.ParquetFile, regions: Regions, classes: int
) -> pa.Table:
    """A shard's rows of `class_stats` with the boxes, from its masks. Pixels that don't count have
    no class in a mask, so the ego mask isn't needed. Raises ValueError for rows without a mask."""
    boxes = np.full((rows.num_rows, 4), -1, np.int32)
    names = {name: i for i, name in enumerate(regions.names)}
    region = np.array([names.get(n, -1) for n in rows["region"].to_pylist()], np.int64)
    class_id = rows["class_id"].to_numpy()
    places: dict[str, list[int]] = defaultdict(list)
    for i, frame_id in enumerate(rows["frame_id"].to_pylist()):
        places[frame_id].append(i)
    for group in range(mask_file.num_row_groups):
        table = read_groups(mask_file, [group])
        for row, frame_id in enumerate(table["frame_id"].to_pylist()):
            labels = _labels(table, row)
            found = components(labels, regions.for_size(*labels.shape), classes)
            at = np.array(places.pop(frame_id, ()), np.int64)
            boxes[at] = found.box[region[at], class_id[at]]
    if places or (region < 0).any():
        raise ValueError(f"{len(places)} frames have statistics and no mask")
    for i, name in enumerate(COLUMNS):
        rows = rows.append_column(name, pa.array(boxes[:, i]))
    return rows


def _labels(table: pa.Table, row: int) -> UInt8:
    return masks.decode(
        table["values"][row].values.to_numpy(),
        table["lengths"][row].values.to_numpy(),
        table["height"][row].as_py(),
        table["width"][row].as_py(),
    )
