"""Frames that are in more than one shard: by 64-bit hashes of all ids, eight bytes a frame, and
exactly where hashes meet."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from segpipe.core.text import counted
from segpipe.runtime.files.paths import AnyPath
from segpipe.store.reading import read_table
from segpipe.verify.findings import DUPLICATED, Finding
from segpipe.verify.frames import shown_frame
from segpipe.verify.shard import CheckedShard


def find_doubles(shards: list[CheckedShard], frames_files: dict[str, AnyPath]) -> list[Finding]:
    """Shards that hold frames which a shard before them holds too. Of two such shards the first one
    by name stays, unless something else is wrong with it or the other replaces it: so no frame is
    lost when the others are taken out."""
    replaced = {s.record.replaces for s in shards}
    order = sorted(
        shards, key=lambda s: (bool(s.findings), s.record.name in replaced, s.record.name)
    )
    hashes = np.concatenate([s.hashes for s in order]) if order else np.empty(0, np.uint64)
    shard = np.repeat(np.arange(len(order), dtype=np.int32), [len(s.hashes) for s in order])
    by_hash = np.argsort(hashes, kind="stable")
    same = np.flatnonzero(hashes[by_hash][1:] == hashes[by_hash][:-1])
    first, second = shard[by_hash[same]], shard[by_hash[same + 1]]
    pairs = sorted({(int(a), int(b)) for a, b in zip(first, second, strict=True) if a != b})
    found, gone = [], set()
    for a, b in pairs:
        kept, other = order[a].record, order[b].record
        both = (
            []
            if a in gone or b in gone
            else _both(frames_files[kept.name], frames_files[other.name])
        )
        if both:
            gone.add(b)
            such = shown_frame(other, both[0])
            said = f"{counted(len(both), 'frame')} in common with {kept.name}, such as {such}"
            found.append(
                Finding(DUPLICATED, "frames", other.name, other.source.source_id, said, True)
            )
    return found


def _both(a: AnyPath, b: AnyPath) -> list[str]:
    """The frame ids that two files share."""
    ids = []
    for path in (a, b):
        ids.append(read_table(path, ["frame_id"])["frame_id"].combine_chunks())
    return list(
        ids[0]
        .filter(pc.is_in(ids[0], pa.array(ids[1]) if not isinstance(ids[1], pa.Array) else ids[1]))
        .to_pylist()
    )
