"""The table `addresses`: what is wrong with it, and how it is made anew. Where the footage lies
follows from the shards; where it lay before, and when, stands only there."""

from __future__ import annotations

from collections.abc import Iterable

from segpipe.runtime.files.paths import AnyPath, is_local
from segpipe.sources import source_of
from segpipe.store.address_file import FILE, FOLDER, load_addresses, write_addresses
from segpipe.store.reading import parquet_file, read_groups
from segpipe.store.records import ShardRecord
from segpipe.verify.findings import BROKEN, NOTE, Finding
from segpipe.verify.opened import UNREADABLE, check_schema

_STEM = FILE.removesuffix(".parquet")
_ANEW = "the next run, or segpipe verify --repair, makes it anew from the shards"


def check_addresses(path: AnyPath | None, records: Iterable[ShardRecord]) -> list[Finding]:
    """What is wrong with the file; `path` is None where it isn't there. A file of the footage that
    has no address in it is nothing wrong: its shard knows one."""
    if path is None:
        if not any(source_of(r.source.kind).replayable for r in records):
            return []
        said = f"the file isn't there; {_ANEW}; where the footage lay before is lost"
        return [Finding(NOTE, FOLDER, _STEM, "", said, True)]
    if is_local(path) and path.is_dir():
        said = "a folder of this name is in the way: move it elsewhere"
        return [Finding(BROKEN, FOLDER, _STEM, "", said)]
    try:
        with parquet_file(path) as file:
            said = check_schema(file, FOLDER)
            if not said:
                read_groups(file)
    except UNREADABLE as error:
        said = f"can't be read ({' '.join(str(error).split())[:200]})"
    if not said:
        return []
    return [Finding(BROKEN, FOLDER, _STEM, "", f"{said}; {_ANEW}", True)]


def is_of_addresses(finding: Finding) -> bool:
    """Whether a finding is one of `check_addresses`."""
    return finding.table == FOLDER and finding.kind in {BROKEN, NOTE}


def rebuild_addresses(root: AnyPath, records: Iterable[ShardRecord]) -> str:
    """Make the file anew; its path below the dataset's folder. The dataset must be held."""
    write_addresses(root, load_addresses(root, records))
    return f"{FOLDER}/{FILE}"
