"""Which frame each row of another table belongs to, and what is wrong with its keys."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segpipe.core.text import counted
from segpipe.verify.frames import FrameRows, Ints, ints


@dataclass
class KeyCheck:
    """Holds the rows of one table of a shard against the shard's frames, piece by piece."""

    frames: FrameRows
    source_id: str
    unknown: int = 0
    other_source: int = 0
    other_index: int = 0

    def rows(self, table: pa.Table) -> Ints:
        """The frame of each row, int64 [N] as place among the ok frames; -1 where there is no such
        frame."""
        ids = table["frame_id"].combine_chunks()
        ids = ids.chunk(0) if isinstance(ids, pa.ChunkedArray) else ids
        if not len(ids):
            return np.empty(0, np.int64)
        first = np.concatenate(
            (
                [0],
                np.flatnonzero(pc.not_equal(ids[1:], ids[:-1]).to_numpy(zero_copy_only=False)) + 1,
            )
        )
        # A frame's rows stand together: few look-ups.
        named = ints(pc.index_in(ids.take(pa.array(first)), self.frames.ok_ids))
        found = np.repeat(named, np.diff(first, append=len(ids)))
        known = found >= 0
        self.unknown += len(found) - int(known.sum())
        self.other_source += len(ids) - (
            pc.sum(pc.equal(table["source_id"], self.source_id)).as_py() or 0
        )
        index = np.concatenate([ints(c) for c in table["frame_index"].chunks])
        self.other_index += int((self.frames.index[found[known]] != index[known]).sum())
        return found

    def wrong(self) -> list[str]:
        """What is wrong with the keys, a line each."""
        said = [
            (self.unknown, "of no ok frame of the shard"),
            (self.other_source, "with a source_id that is not the shard's"),
            (self.other_index, "with another frame_index than the frame"),
        ]
        return [f"{counted(n, 'row')} {text}" for n, text in said if n]
