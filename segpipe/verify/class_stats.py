"""The class statistics of one shard: keys, each once, and counts that add up."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from segpipe.store.places import AnyPath
from segpipe.verify.findings import DOUBLED, WRONG_ROWS, WRONG_STATISTICS
from segpipe.verify.frames import FrameRows, Ints, ints
from segpipe.verify.keys import KeyCheck
from segpipe.verify.opened import check_schema, opened, pieces

ROWS_AT_ONCE = 100_000
_COLUMNS = [
    "frame_id", "source_id", "frame_index", "region", "class_id", "class_name", "pixel_count", "valid_pixels", "pixel_fraction",
]  # fmt: skip
_DICTIONARIES = ("source_id", "region", "class_name")
_CLOSE = 1e-9


@dataclass
class Counts:
    """Sums over a shard: `pixels` and `valid` int64 [F, R] flat, of each frame and region (-1 where there is no row)."""

    regions: tuple[str, ...]
    classes: tuple[str, ...]
    frames: int
    pixels: Ints = field(init=False)
    valid: Ints = field(init=False)
    last_key: int = -1
    keys: list[Ints] = field(default_factory=list)
    ascending: bool = True
    wrong: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.pixels = np.zeros(self.frames * len(self.regions), np.int64)
        self.valid = np.full_like(self.pixels, -1)

    def tell(self, wrong: NDArray[np.bool_], text: str) -> None:
        """Count rows of which something is wrong."""
        n = int(np.count_nonzero(wrong))
        if n:
            self.wrong[text] = self.wrong.get(text, 0) + n

    def add(self, table: pa.Table, place: Ints) -> None:
        """Add rows; `place` int64 [N] is each row's frame, -1 where it has none."""
        region = _codes(table["region"], self.regions)
        kind = _ints(table["class_id"])
        count, valid = _ints(table["pixel_count"]), _ints(table["valid_pixels"])
        fraction = np.concatenate([c.to_numpy() for c in table["pixel_fraction"].chunks])
        self.tell(region < 0, "rows are of a region that the dataset doesn't have")
        named = (kind >= 0) & (kind < len(self.classes))
        self.tell(~named, "rows are of a class that the model doesn't have")
        self.tell((_codes(table["class_name"], self.classes) != kind) & named, "rows have a class_name that isn't their class_id's")
        self.tell((count <= 0) | (count > valid), "rows have a pixel_count of nothing, or above valid_pixels")
        self.tell(~(np.abs(fraction * valid - count) <= _CLOSE * valid), "rows have a pixel_fraction that isn't count / valid")
        known = (place >= 0) & (region >= 0) & named
        if not known.all():
            place, region, kind, count, valid = (a[known] for a in (place, region, kind, count, valid))
        group = place * len(self.regions) + region
        self.pixels += np.bincount(group, count, minlength=len(self.pixels)).astype(np.int64)
        old = self.valid[group]
        self.valid[group] = valid
        self.tell(((old >= 0) & (old != valid)) | (self.valid[group] != valid), "rows of a region disagree on valid_pixels")
        self._keep(group * len(self.classes) + kind)

    def _keep(self, keys: Ints) -> None:
        """Note (frame, region, class) of rows. As they are written they ascend, which tells that each is there once."""
        if len(keys):
            self.ascending &= bool(keys[0] > self.last_key and (keys[1:] > keys[:-1]).all())
            self.last_key = int(keys[-1])
            self.keys.append(keys)

    def doubled(self) -> int:
        """Rows whose key is there already."""
        if self.ascending:
            return 0
        keys = np.concatenate(self.keys)
        return len(keys) - len(np.unique(keys))


def check_class_stats(
    path: AnyPath, frames: FrameRows, source_id: str, regions: tuple[str, ...], classes: tuple[str, ...]
) -> list[tuple[str, str]]:
    """What is wrong with a shard's statistics: kind of finding and a line each. Raises what a damaged file makes Arrow raise."""
    keys, counts = KeyCheck(frames, source_id), Counts(regions, classes, len(frames.ok_ids))
    with opened(path, _DICTIONARIES) as file:
        said = check_schema(file, "class_stats", _DICTIONARIES)
        if said:
            raise ValueError(said)
        for table in pieces(file, _COLUMNS, ROWS_AT_ONCE):
            counts.add(table, keys.rows(table))
    valid, pixels = (a.reshape(-1, len(regions)) for a in (counts.valid, counts.pixels))
    counts.tell((valid >= 0) & (valid != pixels), "regions of frames whose pixel_count don't add up to valid_pixels")
    whole = valid[:, 0] if len(valid) else np.empty(0, np.int64)
    counts.tell((whole >= 0) & (whole != frames.valid_pixels), "frames have other valid_pixels than their statistics")
    lacking = int(((whole < 0) & (frames.valid_pixels > 0)).sum())
    found = [(WRONG_STATISTICS, f"{n} {text}") for text, n in counts.wrong.items()]
    found += [(WRONG_ROWS, f"{lacking} ok frames have no statistics of region 'frame'")] if lacking else []
    found += [(DOUBLED, f"{n} rows of a frame, region and class are there more than once")] if (n := counts.doubled()) else []
    return found + [(WRONG_ROWS, text) for text in keys.wrong()]


def _ints(column: pa.ChunkedArray) -> Ints:
    return np.concatenate([ints(c) for c in column.chunks])


def _codes(column: pa.ChunkedArray, names: tuple[str, ...]) -> Ints:
    """The place of each text among the names, -1 where it isn't among them; a dictionary is looked up once."""
    wanted, found = pa.array(names, pa.string()), []
    for chunk in column.chunks:
        places = ints(pc.index_in(chunk.dictionary, wanted))
        found.append(places[chunk.indices.to_numpy(zero_copy_only=False)])
    return np.concatenate(found)
