"""The dataset as a run sees it: shards committed whole, in an order that makes a killed run resumable."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segpipe import stopping
from segpipe.config import StoreSettings
from segpipe.errors import DatasetError
from segpipe.frames import Shard
from segpipe.models.spec import ClassInfo
from segpipe.sources.identity import files_digest, image_frame_id
from segpipe.store.files import ASIDE
from segpipe.store.lock import PREFIX as LOCK
from segpipe.store.lock import check_held
from segpipe.store.manifest import FILE, check_same, read_manifest, write_manifest
from segpipe.store.places import (
    AnyPath,
    each,
    flush_folder,
    is_local,
    listed,
    make_folder,
    readable,
    remove,
    remove_folder,
)
from segpipe.store.records import ShardRecord, read_record
from segpipe.store.schema import COMMIT_ORDER, SIDE_TABLES, TABLES
from segpipe.store.shard_writer import ShardWriter
from segpipe.store.sources import FOLDER as SOURCES_FOLDER


class Store:
    """The writing side of a dataset folder. Use `exclusive(root)` around a run."""

    def __init__(self, root: AnyPath, settings: StoreSettings, classes: tuple[ClassInfo, ...]) -> None:
        self.root, self.settings, self.classes = root, settings, classes

    def path(self, table: str, shard_name: str) -> AnyPath:
        """Where a shard's part of a table lies."""
        return self.root / table / f"{shard_name}.parquet"

    def check(self, manifest: dict[str, Any], replace: bool = False) -> None:
        """Whether this run may write here; changes nothing.

        Raises DatasetError for a folder that holds something else, DatasetMismatch for other settings.
        """
        there = read_manifest(self.root)
        if there is None and _foreign(self.root):
            raise DatasetError(f"{self.root}: the folder isn't empty and is no dataset; choose an empty or a new folder")
        if there is not None and not replace:
            check_same(self.root, there, manifest)

    def prepare(self, manifest: dict[str, Any], replace: bool = False) -> None:
        """Create the dataset, or check that it is the same; remove what a killed run left unfinished. Raises as `check`."""
        self.check(manifest, replace)
        there = read_manifest(self.root)
        if there is not None and there != manifest:
            # The old manifest stays until all is gone: a run that is killed here leaves a dataset that says what it was.
            for folder in (*reversed(COMMIT_ORDER), SOURCES_FOLDER):
                remove_folder(self.root / folder)
        make_folder(self.root)
        write_manifest(self.root, manifest)
        for folder in (*TABLES, *SIDE_TABLES, SOURCES_FOLDER):
            make_folder(self.root / folder)
        self._remove_unfinished()

    def _remove_unfinished(self) -> None:
        done = {p.name for p in listed(self.root / "frames", ".parquet")}
        for table in COMMIT_ORDER:
            for path in listed(self.root / table):
                if path.name.endswith(ASIDE) or (path.suffix == ".parquet" and path.name not in done):
                    remove(path)
        for path in listed(self.root / SOURCES_FOLDER, ASIDE):
            remove(path)

    def records(self) -> list[ShardRecord]:
        """The committed shards, by name. Raises Stopped where the run is asked to end meanwhile."""

        def record(path: AnyPath) -> ShardRecord:
            stopping.check()
            return read_record(path)

        return each(record, listed(self.root / "frames", ".parquet"))

    def discard(self, shard_name: str) -> None:
        """Take a shard out, its `frames` first: what is left over is unfinished and removed by the next run."""
        check_held(self.root)
        for table in reversed(COMMIT_ORDER):
            path = self.path(table, shard_name)
            remove(path)
            if table == "frames" and is_local(path):  # for good, before the rest: a power cut must not bring it back alone
                flush_folder(path.parent)

    def keep_only(self, record: ShardRecord, names: list[str]) -> None:
        """Take images out of a shard: its other rows move into a shard of their own, which says whose rows they were. A run that is
        killed before the old one has gone leaves both, and the next takes the old one out (`replaced`): rows of images that
        have gone from the disk couldn't be computed again."""
        if not names:
            self.discard(record.name)
            return
        stay = set(names)
        files = tuple(f for f in record.files if f.name in stay)
        shard = Shard(f"{record.source.source_id}-{files_digest(files)}", record.source, len(files), files, attempt=record.attempt)
        ids = pa.array([image_frame_id(record.source.source_id, n) for n in names])
        failed, transient = ([n for n in f if n in stay] for f in (record.failed_files, record.transient_files))
        writer = ShardWriter(self, shard, ego=record.ego)
        with writer:
            for table in TABLES:
                rows = pq.read_table(readable(self.path(table, record.name)), partitioning=None)
                writer.copy(table, rows.filter(pc.is_in(rows["frame_id"], ids)))
            writer.frames, writer.failed, writer.failed_files = len(files), len(failed), failed
            writer.transient, writer.transient_files, writer.replaces = len(transient), transient, record.name
        self.discard(record.name)

    def replaced(self, records: list[ShardRecord]) -> list[ShardRecord]:
        """The records without shards whose rows another one has taken over; those are taken out of the dataset."""
        by_name = {r.name: r for r in records}
        for record in records:
            old = by_name.get(record.replaces)
            if old is not None and {f.name for f in record.files} <= {f.name for f in old.files}:
                self.discard(old.name)
                del by_name[old.name]
        return list(by_name.values())

    def writer(self, shard: Shard, facts: str = "", ego: str = "") -> ShardWriter:
        """A writer that commits on leaving its `with` block without an error, and leaves nothing otherwise. `facts` is the digest
        of the source's facts, `ego` that of its ego mask."""
        return ShardWriter(self, shard, facts, ego)


def _foreign(root: AnyPath) -> bool:
    """Whether a folder without a manifest holds anything: nothing of a user's must be taken for ours."""
    if is_local(root) and root.exists() and not root.is_dir():
        raise DatasetError(f"{root}: not a folder; name a folder for the dataset")
    return any(p.name != FILE + ASIDE and not p.name.startswith(LOCK) for p in listed(root))
