"""What a migration has found out of a dataset before it begins, as a note that the next one goes on
with: footage may change between the two, and ids may not."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, astuple
from pathlib import Path
from typing import Any

from segpipe.core.types import FileStamp, SourceInfo
from segpipe.runtime.files.listing import list_states
from segpipe.store.migration.new_ids import NewSource
from segpipe.store.schema import TABLES
from segpipe.store.sources import FOLDER as SOURCES


def state_of(root: Path) -> str:
    """A digest of which files a dataset has: an earlier segpipe may have gone on with it since."""
    digest = hashlib.blake2b(digest_size=16)
    for table in (*TABLES, SOURCES):
        for file in list_states(root / table, ".parquet"):
            digest.update(f"{table}/{file.name} {file.size_bytes} {file.mark}\n".encode())
    return digest.hexdigest()


def as_json(found: dict[str, NewSource]) -> dict[str, Any]:
    """New sources as JSON has them."""
    return {
        old_id: {
            "info": asdict(source.info),
            "footage": source.footage,
            "files": {name: astuple(file) for name, file in source.files.items()},
        }
        for old_id, source in found.items()
    }


def of_json(content: dict[str, Any]) -> dict[str, NewSource]:
    """The sources of `as_json`."""
    return {
        old_id: NewSource(
            SourceInfo(**source["info"]),
            source["footage"],
            {name: FileStamp(*file) for name, file in source["files"].items()},
        )
        for old_id, source in content.items()
    }
