"""Shards that any kind of source may have, and what people call a shard."""

from __future__ import annotations

import re
from pathlib import PurePath

from segpipe.core.text import counted, printable_text
from segpipe.core.types import FileStamp, Shard, SourceInfo
from segpipe.sources.ids import files_digest


def shards_of_files(
    info: SourceInfo, files: tuple[FileStamp, ...], frames_per_shard: int
) -> list[Shard]:
    """Cut files that are a frame each into shards, named after the files that they hold."""
    parts = [files[i : i + frames_per_shard] for i in range(0, len(files), frames_per_shard)]
    return [
        Shard(f"{info.source_id}-{files_digest(part)}", info, len(part), files=part)
        for part in parts
    ]


def is_shard_name(name: str, info: SourceInfo) -> bool:
    """Whether a name is one of a source's shards: its files are called so."""
    return re.fullmatch(rf"{re.escape(info.source_id)}-[A-Za-z0-9_-]+", name) is not None


def unreadable_shard(
    info: SourceInfo,
    stamp: FileStamp,
    reason: str,
    suffix: str = "unreadable",
    transient: bool = False,
) -> Shard:
    """A shard of one failed row, for what can't be read at all and for what nothing is wanted
    of."""
    return Shard(
        f"{info.source_id}-{suffix}",
        info,
        1,
        (stamp,),
        unreadable=reason,
        siblings=1,
        transient=transient,
    )


def shard_label(shard: Shard) -> str:
    """A shard by its file's or folder's name, and which part of it that is: its own name is made
    from the content, and tells nobody anything."""
    name = printable_text(PurePath(shard.source.uri).name)
    if shard.unreadable:
        return name
    if shard.stop > shard.start:
        return f"{name}, frames {shard.start} to {shard.stop - 1}"
    return f"{name}, {counted(len(shard.files), 'image')}"
