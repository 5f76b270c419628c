"""The names of the files that segpipe writes into a dataset. No other file is ever deleted."""

from __future__ import annotations

import re

from segpipe.core.errors import DatasetError
from segpipe.runtime.files.atomic import unfinished_name
from segpipe.runtime.files.paths import AnyPath

SUFFIX = ".parquet"
_KEY = r"(path-[0-9a-f]{20}|gone-[0-9a-f]{20}|[0-9a-f]{20}(x[0-9a-f]{8})?)"
_PART = re.compile(rf"((images-|v[0-9]+-)?{_KEY}|[A-Za-z0-9_-]+-[0-9a-f]{{10}})(-[A-Za-z0-9_-]+)?")
"""Source id, of footage or of a stream, and part."""
_STEM = re.compile(r"[A-Za-z0-9_-]+")


def table_file(root: AnyPath, table: str, stem: str) -> AnyPath:
    """Where a shard's or a source's file lies. Raises DatasetError for a name that is a path: names
    come out of files, and mustn't lead out of the dataset."""
    if not _STEM.fullmatch(stem):
        raise DatasetError(f"{root}: {stem[:100]!r} is no name of a shard or a source")
    return root / table / f"{stem}{SUFFIX}"


def is_part_name(stem: str) -> bool:
    """Whether a shard's or a source's file may have this stem: what else lies in a table's folder
    and can't be opened may be anybody's."""
    return _PART.fullmatch(stem) is not None


def is_table_file(name: str) -> bool:
    """Whether a file in a table's folder has a name that segpipe gives: a shard's or a source's,
    whole or begun."""
    whole = unfinished_name(name) or name
    return whole.endswith(SUFFIX) and _STEM.fullmatch(whole.removesuffix(SUFFIX)) is not None
