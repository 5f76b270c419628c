"""What a committed shard tells of itself, in the footer of its `frames` file: a run reads footers to know what is done."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow.parquet as pq

from segpipe.errors import DatasetError
from segpipe.frames import FileStamp, Shard, SourceInfo
from segpipe.text import printable_text

SHARD_KEY = "segpipe.shard"


@dataclass(frozen=True, slots=True)
class ShardRecord:
    """What a committed shard tells of itself, from the footer of its `frames` file. `facts` is the digest of the source's
    facts that its times and positions follow from, `places` that of the times and positions themselves."""

    name: str
    source: SourceInfo
    files: tuple[FileStamp, ...]
    frames: int
    failed: int
    start: int = 0
    stop: int = 0
    siblings: int = 0
    failed_files: tuple[str, ...] = ()
    chosen: tuple[int, ...] = ()
    facts: str = ""
    places: str = ""

    def shard(self) -> Shard:
        """The shard behind the record, to decode its frames again."""
        return Shard(
            self.name, self.source, self.frames, self.files, self.start, self.stop, siblings=self.siblings, chosen=self.chosen
        )


def record_text(shard: Shard, record: ShardRecord) -> str:
    """A shard's record as the JSON that its `frames` file carries."""
    return json.dumps(
        {
            "name": shard.name,
            "source": asdict(shard.source) | {"uri": printable_text(shard.source.uri)},
            "files": [[printable_text(f.name), f.size_bytes, f.mtime_ns] for f in shard.files],
            "frames": record.frames,
            "failed": record.failed,
            "start": shard.start,
            "stop": shard.stop,
            "siblings": shard.siblings,
            "failed_files": record.failed_files,
            "chosen": shard.chosen,
            "facts": record.facts,
            "places": record.places,
        }
    )


def read_record(path: Path) -> ShardRecord:
    """A shard's record from its `frames` file. Raises DatasetError where it has none or is broken."""
    try:
        metadata = pq.read_metadata(path).metadata or {}
        content = json.loads(metadata[SHARD_KEY.encode()])
        files = tuple(FileStamp(*f) for f in content["files"])
        source, lists = SourceInfo(**content["source"]), {n: tuple(content[n]) for n in ("failed_files", "chosen")}
        return ShardRecord(**(content | lists | {"source": source, "files": files}))
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise DatasetError(f"{path}: not a whole shard of segpipe ({error}); delete it and run again") from None
