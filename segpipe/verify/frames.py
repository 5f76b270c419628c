"""The `frames` rows of one shard, checked against the shard's record."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from segpipe.core.text import counted
from segpipe.runtime.files.paths import AnyPath
from segpipe.sources import source_of
from segpipe.sources.ids import image_frame_id, indexed_frame_id
from segpipe.store.reading import parquet_file, read_groups
from segpipe.store.records import ShardRecord
from segpipe.store.schema import PERMANENT, STATUS_ERROR, STATUS_OK, TRANSIENT
from segpipe.verify.findings import DUPLICATED, WRONG_ROWS
from segpipe.verify.opened import check_schema

_COLUMNS = [
    "frame_id",
    "source_id",
    "frame_index",
    "width",
    "height",
    "valid_pixels",
    "status",
    "error",
    "error_class",
]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class FrameRows:
    """The rows of a shard that other tables are compared with: `ids` of all frames, and of the `ok`
    ones the arrays int64 [N] of `index` (-1 where there is none), `height`, `width` and
    `valid_pixels`. `hashes` uint64 are those of all ids; `reasons` counts the failures by their
    text; `wrong` says what is wrong with the rows, each with its kind of finding."""

    ids: pa.Array
    ok_ids: pa.Array
    index: Ints
    height: Ints
    width: Ints
    valid_pixels: Ints
    hashes: NDArray[np.uint64]
    reasons: Counter[str]
    wrong: tuple[tuple[str, str], ...]

    @property
    def failed(self) -> int:
        """Frames that failed."""
        return len(self.ids) - len(self.ok_ids)


def read_frames(path: AnyPath, record: ShardRecord) -> FrameRows:
    """Read and check a shard's `frames`. Raises what a damaged file makes Arrow raise."""
    with parquet_file(path) as file:
        said = check_schema(file, "frames")
        if said:
            raise ValueError(said)
        table = read_groups(file, None, _COLUMNS).combine_chunks()
    columns = {name: _one(table[name]) for name in _COLUMNS}
    ok = pc.equal(columns["status"], STATUS_OK)
    index, height, width, valid = (
        ints(columns[n].filter(ok)) for n in ("frame_index", "height", "width", "valid_pixels")
    )
    ids = columns["frame_id"]
    reasons = Counter(str(e) for e in columns["error"].filter(pc.invert(ok)).to_pylist())
    wrong = tuple(_wrong(columns, ok, record))
    return FrameRows(
        ids, ids.filter(ok), index, height, width, valid, hashes_of(ids), reasons, wrong
    )


def shown_frame(record: ShardRecord, frame_id: str) -> str:
    """A frame as it is told to people: an image by its address, others by their ids."""
    for file in record.files if source_of(record.source.kind).files_are_frames else ():
        if image_frame_id(record.source.source_id, file.name) == frame_id:
            return file.uri or frame_id
    return frame_id


def _wrong(
    columns: dict[str, pa.Array], ok: pa.Array, record: ShardRecord
) -> list[tuple[str, str]]:
    """What is wrong with a shard's rows: kind of finding and a line each."""
    ids, failed = columns["frame_id"], columns["error_class"].filter(pc.invert(ok))
    transient = pc.sum(pc.equal(failed, TRANSIENT)).as_py() or 0
    counts = [
        ("frames", len(ids), record.frames),
        ("failed", len(failed), record.failed),
        ("transient", transient, record.transient),
    ]
    found = [
        (WRONG_ROWS, f"{what}: {n} by its record, {there} by its rows")
        for what, there, n in counts
        if there != n
    ]
    lacking = pc.and_(ok, _any_null([columns[n] for n in ("width", "height", "valid_pixels")]))
    duplicated = len(ids) - pc.count_distinct(ids).as_py()
    checks = [
        (
            not _all(pc.is_in(columns["status"], pa.array([STATUS_OK, STATUS_ERROR]))),
            "a status is neither ok nor error",
        ),
        (pc.any(lacking).as_py(), "an ok frame has no width, height or valid_pixels"),
        (columns["error"].filter(pc.invert(ok)).null_count, "a failed frame doesn't say why"),
        (
            not _all(pc.is_in(failed, pa.array([TRANSIENT, PERMANENT]))),
            "an error_class is neither transient nor permanent",
        ),
        (
            not _all(pc.equal(columns["source_id"], record.source.source_id)),
            "a source_id is not the shard's",
        ),
        (
            not _all(pc.starts_with(ids, record.source.source_id + ":")),
            "a frame_id is not of its source",
        ),
    ]
    found += [(WRONG_ROWS, text) for wrong, text in checks if wrong] + [
        (WRONG_ROWS, text) for text in _order(columns, record)
    ]
    if duplicated:
        said = f"{counted(duplicated, 'row')} with a frame_id that another row has too"
        found.append((DUPLICATED, said))
    return found


def _order(columns: dict[str, pa.Array], record: ShardRecord) -> list[str]:
    """Of a range of a film: positions within the range, in order, and those that the ids name."""
    index = ints(columns["frame_index"])
    if not record.stop or not len(index):
        return []
    if index.min() < record.start or index.max() >= record.stop or (np.diff(index) <= 0).any():
        return [f"frame_index isn't ascending within {record.start} to {record.stop}"]
    number = pc.utf8_lpad(
        columns["frame_index"].cast(pa.string()), len(indexed_frame_id("", 0)) - 1, "0"
    )
    named = pc.binary_join_element_wise(pa.scalar(record.source.source_id), number, ":")
    return [] if named.equals(columns["frame_id"]) else ["a frame_id doesn't name its frame_index"]


def _all(values: pa.Array) -> bool:
    """Whether all are true; of none they are."""
    return bool(pc.all(values, skip_nulls=False, min_count=0).as_py())


def _any_null(columns: list[pa.Array]) -> pa.Array:
    found = columns[0].is_null()
    for column in columns[1:]:
        found = pc.or_(found, column.is_null())
    return found


def _one(column: pa.ChunkedArray) -> pa.Array:
    found = column.combine_chunks()
    return found.chunk(0) if isinstance(found, pa.ChunkedArray) else found


def ints(column: pa.Array) -> Ints:
    """A column of whole numbers, -1 where it is null."""
    whole = column.cast(pa.int64())
    return np.asarray(
        (whole.fill_null(-1) if whole.null_count else whole).to_numpy(zero_copy_only=False)
    )


def hashes_of(ids: pa.Array) -> NDArray[np.uint64]:
    """A 64-bit hash of each text, the same for the same text within a process."""
    return np.fromiter(map(hash, ids.to_pylist()), np.int64, len(ids)).view(np.uint64)
