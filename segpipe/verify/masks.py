"""The masks of one shard: one for each ok frame, of the frame's size, filled exactly."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segpipe.core.text import counted
from segpipe.runtime.files.paths import AnyPath
from segpipe.store.reading import parquet_file, read_groups
from segpipe.verify.findings import DUPLICATED, WRONG_MASK, WRONG_ROWS
from segpipe.verify.frames import FrameRows, Ints, ints
from segpipe.verify.keys import KeyCheck
from segpipe.verify.opened import check_schema, pieces

RUNS_AT_ONCE = 2_000_000
_VALUES, _LENGTHS = "values.list.element", "lengths.list.element"
_COLUMNS = ["frame_id", "source_id", "frame_index", "height", "width", "lengths"]


def check_masks(path: AnyPath, frames: FrameRows, source_id: str) -> list[tuple[str, str]]:
    """What is wrong with a shard's masks: kind of finding and a line each. Raises what a damaged
    file makes Arrow raise."""
    keys, size, runs, fill = KeyCheck(frames, source_id), 0, 0, 0
    count = np.zeros(len(frames.ok_ids), np.int64)
    with parquet_file(path, ("source_id",)) as file:
        said = check_schema(file, "masks", ("source_id",))
        if said:
            raise ValueError(said)
        runs = _unequal(file)
        for table in pieces(file, _COLUMNS, RUNS_AT_ONCE, _LENGTHS):
            place = keys.rows(table)
            known = place >= 0
            at = place[known]
            height, width = (
                np.concatenate([ints(c) for c in table[n].chunks]) for n in ("height", "width")
            )
            count += np.bincount(at, minlength=len(count))
            size += int(
                ((frames.height[at] != height[known]) | (frames.width[at] != width[known])).sum()
            )
            fill += int((_sums(table["lengths"]) != height * width).sum())
    found = [
        (WRONG_MASK, size, "mask", "with another size than the frame"),
        (WRONG_MASK, runs, "mask", "with more values than lengths, or fewer"),
        (WRONG_MASK, fill, "mask", "with lengths that don't fill height × width"),
        (WRONG_ROWS, int((count == 0).sum()), "ok frame", "without a mask"),
        (DUPLICATED, int((count > 1).sum()), "frame", "with more than one mask"),
    ]
    wrong = [(kind, f"{counted(n, noun)} {text}") for kind, n, noun, text in found if n]
    return wrong + [(WRONG_ROWS, text) for text in keys.wrong()]


def _unequal(file: pq.ParquetFile) -> int:
    """Masks that have not as many values as lengths. Values are a third of the work of reading a
    dataset, so they are read only where the footer counts others than lengths; those that changed
    places within a row group are left to the sample."""
    meta, wrong = file.metadata, 0
    column = {meta.schema.column(i).path: i for i in range(meta.num_columns)}
    for g in range(meta.num_row_groups):
        group = meta.row_group(g)
        if group.column(column[_VALUES]).num_values != group.column(column[_LENGTHS]).num_values:
            table = read_groups(file, [g], ["values", "lengths"])
            sizes = [pc.list_value_length(table[n]) for n in ("values", "lengths")]
            wrong += pc.sum(pc.not_equal(*sizes)).as_py() or 0
    return wrong


def _sums(column: pa.ChunkedArray) -> Ints:
    """The sum of each list."""
    totals = []
    for chunk in column.chunks:
        offsets = np.asarray(chunk.offsets.to_numpy(), np.int64)
        total = np.zeros(len(chunk), np.int64)
        filled = np.diff(offsets) > 0  # what reduceat gives for an empty list is no sum
        if filled.any():
            values = chunk.values.to_numpy(zero_copy_only=False)[: offsets[-1]]
            total[filled] = np.add.reduceat(values, offsets[:-1][filled], dtype=np.int64)
        totals.append(total)
    return np.concatenate(totals)
