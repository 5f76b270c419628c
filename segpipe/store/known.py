"""A source's locator, made once for all its shards: the facts of a folder of many images take a second to read."""

from __future__ import annotations

import functools
from collections.abc import Hashable

from segpipe.store.places import AnyPath, is_local, reaching
from segpipe.store.sources import FOLDER, read_facts
from segpipe.telemetry.locate import Locator


def locator_of(root: AnyPath, source_id: str) -> Locator:
    """The locator of a source by its facts as they are now; it knows of nothing where the source has no row. Raises DatasetError
    where the row is broken."""
    return _locator(root, source_id, _version(root / FOLDER / f"{source_id}.parquet"))


@functools.lru_cache(maxsize=4)
def _locator(root: AnyPath, source_id: str, version: Hashable) -> Locator:
    return Locator(None if version is None else read_facts(root, source_id))


def _version(path: AnyPath) -> Hashable:
    """What another content of a file has another one of; None where there is no file."""
    try:
        if is_local(path):
            status = path.stat()
            return status.st_size, status.st_mtime_ns, status.st_ino
        with reaching(path):
            info = path.fs.info(path.path)
    except FileNotFoundError:
        return None
    said = [str(info[n]) for n in ("ETag", "etag", "LastModified", "mtime", "created") if n in info]
    return (info.get("size"), *said) if said else object()  # which nothing else is the same as
