"""The store: schema, shard writer, dataset reader."""

from __future__ import annotations

from segpipe.store.dataset import Dataset, open_dataset
from segpipe.store.lock import exclusive
from segpipe.store.manifest import Manifest, make_manifest
from segpipe.store.records import ShardRecord
from segpipe.store.writer import Store

__all__ = [
    "Dataset",
    "Manifest",
    "ShardRecord",
    "Store",
    "exclusive",
    "make_manifest",
    "open_dataset",
]
