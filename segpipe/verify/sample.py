"""The sample of masks whose statistics are counted again: the same for the same dataset, spread
evenly over its frames."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.core.types import UInt8
from segpipe.runtime.files.paths import AnyPath
from segpipe.store.dataset import mask_of
from segpipe.store.reading import parquet_file, read_groups
from segpipe.store.records import ShardRecord
from segpipe.verify.recount import STATISTICS, Recount

MOST_SAID = 3
_COLUMNS = ["frame_id", "region", "class_id", *STATISTICS]


def spread(records: dict[str, ShardRecord], size: int) -> dict[str, list[int]]:
    """Which masks of each shard, by their place in its file: `size` of them in equal steps over the
    whole dataset."""
    names = sorted(records)
    ends = (
        np.cumsum([records[n].frames - records[n].failed for n in names])
        if names
        else np.zeros(1, np.int64)
    )
    total = int(ends[-1])
    places = np.unique(
        ((np.arange(min(size, total)) + 0.5) * total / max(1, min(size, total))).astype(np.int64)
    )
    shard = np.searchsorted(ends, places, side="right")
    begins = ends - np.diff(ends, prepend=0)
    found: dict[str, list[int]] = {}
    for place, i in zip(places, shard, strict=True):
        found.setdefault(names[i], []).append(int(place - begins[i]))
    return found


def count_again(
    masks: AnyPath,
    class_stats: AnyPath,
    valid_pixels: dict[str, int],
    rows: list[int],
    recount: Recount,
) -> list[tuple[str, str]]:
    """Count the masks at these places of a shard's file again; the ids of those that are wrong, and
    how. `valid_pixels` are those that `frames` holds."""
    said: list[tuple[str, str]] = []
    with parquet_file(masks) as mask_file, parquet_file(class_stats) as stats_file:
        stats = _Statistics(stats_file)
        for frame_id, labels in _masks(mask_file, rows):
            if isinstance(labels, str):
                said.append((frame_id, labels))
                continue
            wrong = recount.wrong(labels, valid_pixels.get(frame_id, -1), stats.rows(frame_id))
            more = [f"and {len(wrong) - MOST_SAID} more"] if len(wrong) > MOST_SAID else []
            said += [(frame_id, "; ".join([*wrong[:MOST_SAID], *more]))] if wrong else []
    return said


def _masks(file: pq.ParquetFile, rows: list[int]) -> list[tuple[str, UInt8 | str]]:
    """Frame ids and label maps uint8 [H, W] at these places of a file, or why one is none; a row
    group is in memory at a time."""
    ends = np.cumsum([file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)])
    group = np.searchsorted(ends, rows, side="right")
    found: list[tuple[str, UInt8 | str]] = []
    for g in np.unique(group[group < len(ends)]):
        table = read_groups(file, [int(g)], ["frame_id", "height", "width", "values", "lengths"])
        begin = int(ends[g]) - table.num_rows
        for row in (r - begin for r, at in zip(rows, group, strict=True) if at == g):
            found.append((table["frame_id"][row].as_py(), _labels(table, row)))
    return found


def _labels(table: pa.Table, row: int) -> UInt8 | str:
    try:
        return mask_of(table, row)
    except ValueError as error:
        return str(error)


class _Statistics:
    """The rows of `class_stats` by frame: the row groups that can hold a frame, by their least and
    largest frame id."""

    def __init__(self, file: pq.ParquetFile) -> None:
        self.file = file

    def rows(self, frame_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for i in range(self.file.num_row_groups):
            limits = self.file.metadata.row_group(i).column(0).statistics
            if limits is None or not limits.has_min_max or limits.min <= frame_id <= limits.max:
                table = read_groups(self.file, [i], _COLUMNS)
                found += table.filter(pa.compute.equal(table["frame_id"], frame_id)).to_pylist()
        return found
