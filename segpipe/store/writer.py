"""The dataset as a run sees it: shards committed whole, in an order that makes a killed run
resumable."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from segpipe.core.errors import DatasetError
from segpipe.core.types import Shard
from segpipe.runtime import stopping
from segpipe.runtime.files.atomic import ASIDE, make_folder, unfinished_name
from segpipe.runtime.files.paths import (
    AnyPath,
    is_local,
    list_names,
    remove,
    remove_folder,
)
from segpipe.sources.ids import files_digest, image_frame_id
from segpipe.store import index
from segpipe.store.address_file import FOLDER as ADDRESSES_FOLDER
from segpipe.store.forget import finish
from segpipe.store.forget_mark import FILE as FORGET
from segpipe.store.lock import PREFIX as LOCK
from segpipe.store.manifest import FILE, Manifest, read_content, write_manifest
from segpipe.store.names import SUFFIX, is_table_file
from segpipe.store.reading import read_table
from segpipe.store.records import ShardRecord, read_record
from segpipe.store.same_settings import check_same, same_rows
from segpipe.store.schema import COMMIT_ORDER, SIDE_TABLES, TABLES
from segpipe.store.shard_files import ShardFiles
from segpipe.store.shard_writer import ShardWriter
from segpipe.store.sources import FOLDER as SOURCES_FOLDER

_FACTS = (SOURCES_FOLDER, ADDRESSES_FOLDER)


class Store(ShardFiles):
    """The writing side of a dataset folder. Use `exclusive(root)` around a run."""

    def check(self, manifest: Manifest, replace: bool = False) -> None:
        """Whether this run may write here; changes nothing.

        Raises DatasetError for a folder that holds something else, DatasetMismatch for other
        settings.
        """
        there = read_content(self.root)
        if there is None and _foreign(self.root):
            raise DatasetError(
                f"{self.root}: the folder isn't empty and is no dataset; choose an empty or a "
                "new folder"
            )
        if there is not None and not replace:
            check_same(self.root, there, manifest.content())

    def is_emptied_by(self, manifest: Manifest) -> bool:
        """Whether there is a dataset of other settings, which `prepare` takes out."""
        there = read_content(self.root)
        return there is not None and not same_rows(there, manifest.content())

    def prepare(self, manifest: Manifest, replace: bool = False) -> None:
        """Create the dataset, or check that it is the same; remove what a killed run left
        unfinished. Raises as `check`."""
        self.check(manifest, replace)
        if self.is_emptied_by(manifest):
            # The old manifest stays until all is gone: a run that is killed here leaves a dataset
            # that says what it was.
            self._check_ours()
            for folder in (index.FOLDER, *reversed(COMMIT_ORDER), *_FACTS):
                is_ours = index.is_file_of_index if folder == index.FOLDER else is_table_file
                remove_folder(self.root / folder, is_ours)
        make_folder(self.root)
        write_manifest(self.root, manifest)
        for folder in (*TABLES, *SIDE_TABLES, SOURCES_FOLDER, index.FOLDER):
            make_folder(self.root / folder)
        finish(self.root)
        self.remove_unfinished()

    def remove_unfinished(self) -> None:
        """Remove what a killed run left of shards, sources and the index."""
        done = set(list_names(self.root / "frames"))
        for table in COMMIT_ORDER:
            for name in list_names(self.root / table):
                if (name not in done or name.endswith(ASIDE)) and is_table_file(name):
                    remove(self.root / table / name)
        for folder in (*_FACTS, index.FOLDER):
            is_ours = index.is_file_of_index if folder == index.FOLDER else is_table_file
            for name in list_names(self.root / folder):
                if name.endswith(ASIDE) and is_ours(name):
                    remove(self.root / folder / name)
        for name in list_names(self.root):
            if unfinished_name(name) in {FILE, FORGET}:
                remove(self.root / name)

    def _check_ours(self) -> None:
        """Raises DatasetError for a Parquet file that can't be segpipe's by its name: it is never
        deleted, and would be a part of the new tables."""
        for table in (*COMMIT_ORDER, *_FACTS):
            for name in list_names(self.root / table):
                if name.endswith(SUFFIX) and not is_table_file(name):
                    raise DatasetError(
                        f"{self.root / table / name}: not a file of segpipe's by its name, so it "
                        "isn't deleted; move it elsewhere, for it would be read as rows"
                    )

    def records(self) -> list[ShardRecord]:
        """The committed shards, by name; the index is brought up to date. Raises Stopped where the
        run is asked to end meanwhile."""
        return index.records_and_update(self.root, stopping.check)

    def update_index(self) -> None:
        """At the end of a run: what it wrote goes into the index, so that the next has nothing to
        read. One that is asked to end doesn't stay for it."""
        if not stopping.STOP.is_set():
            index.update(self.root)

    def keep_only(self, record: ShardRecord, names: list[str]) -> ShardRecord | None:
        """Take images out of a shard: its other rows move into a shard of their own, which says
        whose rows they were; its record, or None where nothing stays. A run that is killed before
        the old one has gone leaves both, and the next takes the old one out (`replaced`): rows of
        images that have gone from the disk couldn't be computed again."""
        if not names:
            self.discard(record.name)
            return None
        stay = set(names)
        files = tuple(f for f in record.files if f.name in stay)
        shard = Shard(
            f"{record.source.source_id}-{files_digest(files)}",
            record.source,
            len(files),
            files,
            attempt=record.attempt,
        )
        ids = pa.array([image_frame_id(record.source.source_id, n) for n in names])
        failed, transient = (
            [n for n in f if n in stay] for f in (record.failed_files, record.transient_files)
        )
        writer = ShardWriter(self, shard, ego=record.ego)
        with writer:
            for table in TABLES:
                rows = read_table(self.path(table, record.name), TABLES[table].names)
                writer.copy(table, rows.filter(pc.is_in(rows["frame_id"], ids)))
            writer.frames, writer.failed, writer.failed_files = len(files), len(failed), failed
            writer.transient, writer.transient_files, writer.replaces = (
                len(transient),
                transient,
                record.name,
            )
        self.discard(record.name)
        return read_record(self.path("frames", shard.name))

    def replaced(self, records: list[ShardRecord]) -> list[ShardRecord]:
        """The records without shards whose rows another one has taken over; those are taken out of
        the dataset."""
        by_name = {r.name: r for r in records}
        for record in records:
            old = by_name.get(record.replaces)
            if old is not None and {f.name for f in record.files} <= {f.name for f in old.files}:
                self.discard(old.name)
                del by_name[old.name]
        return list(by_name.values())

    def writer(self, shard: Shard, facts: str = "", ego: str = "") -> ShardWriter:
        """A writer that commits on leaving its `with` block without an error, and leaves nothing
        otherwise. `facts` is the digest of the source's facts, `ego` that of its ego mask."""
        return ShardWriter(self, shard, facts, ego)


def _foreign(root: AnyPath) -> bool:
    """Whether a folder without a manifest holds anything: nothing of a user's must be taken for
    ours."""
    if is_local(root) and root.exists() and not root.is_dir():
        raise DatasetError(f"{root}: not a folder; name a folder for the dataset")
    return any(
        unfinished_name(name) != FILE and not name.startswith(LOCK) for name in list_names(root)
    )
