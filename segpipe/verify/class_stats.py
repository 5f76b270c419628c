"""The class statistics of one shard: keys, each once, and counts that add up."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from segpipe.core.text import counted
from segpipe.runtime.files.paths import AnyPath
from segpipe.store.reading import parquet_file
from segpipe.verify.findings import DUPLICATED, WRONG_ROWS, WRONG_STATISTICS
from segpipe.verify.frames import FrameRows, Ints, ints
from segpipe.verify.keys import KeyCheck
from segpipe.verify.opened import check_schema, pieces

ROWS_AT_ONCE = 100_000
_COLUMNS = [
    "frame_id",
    "source_id",
    "frame_index",
    "region",
    "class_id",
    "class_name",
    "pixel_count",
    "valid_pixels",
    "pixel_fraction",
]
_DICTIONARIES = ("source_id", "region", "class_name")
_CLOSE = 1e-9


@dataclass
class Counts:
    """Sums over a shard: `pixels` and `valid` int64 [F, R] flat, of each frame and region (-1 where
    there is no row)."""

    regions: tuple[str, ...]
    classes: tuple[str, ...]
    frames: int
    pixels: Ints = field(init=False)
    valid: Ints = field(init=False)
    last_key: int = -1
    keys: list[Ints] = field(default_factory=list)
    ascending: bool = True
    wrong: dict[tuple[str, str], int] = field(default_factory=dict)
    """How often something is wrong, by what it is wrong with (a noun) and the text that follows."""

    def __post_init__(self) -> None:
        self.pixels = np.zeros(self.frames * len(self.regions), np.int64)
        self.valid = np.full_like(self.pixels, -1)

    def tell(self, wrong: NDArray[np.bool_], text: str, noun: str = "row") -> None:
        """Count rows, or what else `noun` names, of which something is wrong. The text has no
        verb, so that it follows one row as well as two."""
        n = int(np.count_nonzero(wrong))
        if n:
            self.wrong[noun, text] = self.wrong.get((noun, text), 0) + n

    def add(self, table: pa.Table, place: Ints) -> None:
        """Add rows; `place` int64 [N] is each row's frame, -1 where it has none."""
        region = _codes(table["region"], self.regions)
        kind = _ints(table["class_id"])
        count, valid = _ints(table["pixel_count"]), _ints(table["valid_pixels"])
        fraction = np.concatenate([c.to_numpy() for c in table["pixel_fraction"].chunks])
        self.tell(region < 0, "of a region that the dataset doesn't have")
        named = (kind >= 0) & (kind < len(self.classes))
        self.tell(~named, "of a class that the model doesn't have")
        misnamed = (_codes(table["class_name"], self.classes) != kind) & named
        self.tell(misnamed, "with a class_name other than that of the class_id")
        self.tell(
            (count <= 0) | (count > valid), "with a pixel_count of nothing, or above valid_pixels"
        )
        self.tell(
            ~(np.abs(fraction * valid - count) <= _CLOSE * valid),
            "with a pixel_fraction that isn't count / valid",
        )
        known = (place >= 0) & (region >= 0) & named
        if not known.all():
            place, region, kind, count, valid = (
                a[known] for a in (place, region, kind, count, valid)
            )
        group = place * len(self.regions) + region
        self.pixels += np.bincount(group, count, minlength=len(self.pixels)).astype(np.int64)
        old = self.valid[group]
        self.valid[group] = valid
        disagree = ((old >= 0) & (old != valid)) | (self.valid[group] != valid)
        self.tell(disagree, "with other valid_pixels than the same region's other rows")
        self._keep(group * len(self.classes) + kind)

    def _keep(self, keys: Ints) -> None:
        """Note (frame, region, class) of rows. As they are written they ascend, which tells that
        each is there once."""
        if len(keys):
            self.ascending &= bool(keys[0] > self.last_key and (keys[1:] > keys[:-1]).all())
            self.last_key = int(keys[-1])
            self.keys.append(keys)

    def duplicated(self) -> int:
        """Rows whose key is there already."""
        if self.ascending:
            return 0
        keys = np.concatenate(self.keys)
        return len(keys) - len(np.unique(keys))


def check_class_stats(
    path: AnyPath,
    frames: FrameRows,
    source_id: str,
    regions: tuple[str, ...],
    classes: tuple[str, ...],
) -> list[tuple[str, str]]:
    """What is wrong with a shard's statistics: kind of finding and a line each. Raises what a
    damaged file makes Arrow raise."""
    keys, counts = KeyCheck(frames, source_id), Counts(regions, classes, len(frames.ok_ids))
    with parquet_file(path, _DICTIONARIES) as file:
        said = check_schema(file, "class_stats", _DICTIONARIES)
        if said:
            raise ValueError(said)
        for table in pieces(file, _COLUMNS, ROWS_AT_ONCE):
            counts.add(table, keys.rows(table))
    valid, pixels = (a.reshape(-1, len(regions)) for a in (counts.valid, counts.pixels))
    sums = (valid >= 0) & (valid != pixels)
    counts.tell(sums, "of a frame where pixel_count doesn't add up to valid_pixels", "region")
    whole = valid[:, 0] if len(valid) else np.empty(0, np.int64)
    others = (whole >= 0) & (whole != frames.valid_pixels)
    counts.tell(others, "with other valid_pixels than in class_stats", "frame")
    lacking = int(((whole < 0) & (frames.valid_pixels > 0)).sum())
    found = [
        (WRONG_STATISTICS, f"{counted(n, noun)} {text}") for (noun, text), n in counts.wrong.items()
    ]
    if lacking:
        said = f"{counted(lacking, 'ok frame')} without statistics of region 'frame'"
        found.append((WRONG_ROWS, said))
    if duplicated := counts.duplicated():
        said = (
            f"{counted(duplicated, 'row')} with a frame, region and class that another row has too"
        )
        found.append((DUPLICATED, said))
    return found + [(WRONG_ROWS, text) for text in keys.wrong()]


def _ints(column: pa.ChunkedArray) -> Ints:
    return np.concatenate([ints(c) for c in column.chunks])


def _codes(column: pa.ChunkedArray, names: tuple[str, ...]) -> Ints:
    """The place of each text among the names, -1 where it isn't among them; a dictionary is looked
    up once."""
    wanted, found = pa.array(names, pa.string()), []
    for chunk in column.chunks:
        places = ints(pc.index_in(chunk.dictionary, wanted))
        found.append(places[chunk.indices.to_numpy(zero_copy_only=False)])
    return np.concatenate(found)
