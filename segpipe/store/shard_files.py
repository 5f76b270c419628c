"""Where a shard's files lie in a dataset, and how they are taken out."""

from __future__ import annotations

from dataclasses import dataclass

from segpipe.core.config.job import StoreSettings
from segpipe.inference.models.spec import ClassInfo
from segpipe.runtime.files.atomic import flush_folder
from segpipe.runtime.files.paths import AnyPath, is_local, remove
from segpipe.store.lock import check_held
from segpipe.store.names import table_file
from segpipe.store.schema import COMMIT_ORDER


@dataclass(frozen=True)
class ShardFiles:
    """A dataset's folder as its shards know it: its place, its layout and its model's classes."""

    root: AnyPath
    settings: StoreSettings
    classes: tuple[ClassInfo, ...]

    def path(self, table: str, shard_name: str) -> AnyPath:
        """Where a shard's part of a table lies."""
        return shard_path(self.root, table, shard_name)

    def discard(self, shard_name: str) -> None:
        """Take a shard out, its `frames` first: what is left over is unfinished and removed by the
        next run."""
        discard_shard(self.root, shard_name)


def shard_path(root: AnyPath, table: str, shard_name: str) -> AnyPath:
    """Where a shard's part of a table lies."""
    return table_file(root, table, shard_name)


def discard_shard(root: AnyPath, shard_name: str) -> None:
    """Take a shard out, its `frames` first."""
    check_held(root)
    for table in reversed(COMMIT_ORDER):
        path = shard_path(root, table, shard_name)
        remove(path)
        # For good, before the rest: a power cut must not bring it back alone
        if table == "frames" and is_local(path):
            flush_folder(path.parent)
