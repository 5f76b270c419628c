"""Reading a dataset: Arrow, Polars, DuckDB, and a frame's mask as an array."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from segpipe.core.errors import DatasetError
from segpipe.core.extras import require
from segpipe.core.types import UInt8
from segpipe.inference.measures.regions import Regions
from segpipe.runtime.files.paths import (
    AnyPath,
    is_local,
    list_dir,
    path_of,
    reach,
    reaching,
    vanished_error,
)
from segpipe.sources import discover
from segpipe.sources.known_files import FoundFile
from segpipe.store import index, masks
from segpipe.store.address_file import load_addresses, located
from segpipe.store.closed import check_closed
from segpipe.store.connection import connect, read_only
from segpipe.store.footage_roots import files_of, is_within, noted_roots
from segpipe.store.forget_mark import marked_names
from segpipe.store.manifest import FILE, Manifest, read_manifest
from segpipe.store.reading import check_columns, parquet_file, read_groups
from segpipe.store.records import ShardRecord
from segpipe.store.schema import MASKS
from segpipe.store.table_files import READABLE, file_schema

if TYPE_CHECKING:
    import duckdb
    import polars
    import pyarrow.dataset as pads

    from segpipe.inference.models.spec import ClassInfo


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk or on an object store. Its tables are plain Parquet: every method here is a
    convenience."""

    root: AnyPath
    manifest: Manifest
    footage: tuple[str, ...] = ()
    """Folders to look for footage in that isn't where it was seen last, or where no run of the
    user's into this folder read it."""

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The classes with their colours, in the order of their labels."""
        return self.manifest.classes

    @property
    def regions(self) -> list[str]:
        """The names of the regions that frames have statistics of, the whole frame first."""
        return list(Regions(self.manifest.regions).names)

    def files(self, table: str) -> list[AnyPath]:
        """A table's files, sorted, without those of a source that is being taken out. Raises
        DatasetError for a name that is no table."""
        if table not in READABLE:
            raise DatasetError(f"no table {table!r}; there are {', '.join(READABLE)}")
        gone = marked_names(self.root, table)
        return [p for p in list_dir(self.root / table, ".parquet") if p.stem not in gone]

    def arrow_dataset(self, table: str) -> pads.Dataset:
        """A table as a lazy Arrow dataset."""
        import pyarrow.dataset as pads  # imports pandas, where that is installed

        files = self.files(table)
        system = None if is_local(self.root) else self.root.fs
        return pads.dataset(
            [str(f) if is_local(f) else f.path for f in files],
            file_schema(table),
            "parquet",
            filesystem=system,
        )

    def arrow(self, table: str, columns: list[str] | None = None) -> pa.Table:
        """A table, or some of its columns, in memory."""
        try:
            with reaching(self.root):
                return self.arrow_dataset(table).to_table(columns=columns)
        except FileNotFoundError as error:
            raise vanished_error(self.root / table) from error

    def polars(self, table: str) -> polars.LazyFrame:
        """A table as a Polars lazy frame. Raises ConfigError without polars."""
        require("analysis", "Dataset.polars", modules=("polars",))
        import polars

        return polars.scan_pyarrow_dataset(self.arrow_dataset(table))

    def read_only_duckdb(self) -> duckdb.DuckDBPyConnection:
        """The connection of `duckdb` for other people's SQL: it reads no file but those of the
        dataset's tables, and that can't be changed by SQL. What may be read may be written, too, so
        that statements have to be looked at before they are run."""
        return read_only(self)

    def duckdb(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with a view for each table and `classes`, `regions`, `tracks`,
        `class_shares`, `common_stats`, `observations` and `frame_metres`.

        `classes` names each class's common name, `regions` the parts of the frame that have
        statistics; `tracks` holds the sources' fixes, a row each. The other four stand with their
        meaning in `segpipe/store/sql/views.sql`.
        """
        return connect(self)

    def records(self) -> list[ShardRecord]:
        """What each committed shard holds, and where its footage was seen last, or is found now in
        one of the folders `footage`."""
        return self.located(index.read_records(self.root))

    def located(self, records: list[ShardRecord]) -> list[ShardRecord]:
        """Records with the addresses where their footage was seen last, or is found now."""
        addresses = load_addresses(self.root, records)
        found = self._found_footage
        addresses.see(found, {f.key: f.source_id for f in found if f.source_id})
        return [located(r, addresses) for r in records]

    def may_open(self, record: ShardRecord) -> bool:
        """Whether a shard's footage lies where the user's own runs into this folder read it, or in
        the folders `footage`: a dataset from elsewhere may name any file of this machine."""
        return all(is_within(uri, self._roots) for uri in files_of(record))

    @cached_property
    def _roots(self) -> frozenset[str]:
        named = {os.path.realpath(os.path.expanduser(folder)) for folder in self.footage}
        return frozenset({*named, *noted_roots(self.root)})

    @cached_property
    def _found_footage(self) -> list[FoundFile]:
        """The files in the folders `footage`, looked for once. Raises SourceError for one that
        doesn't exist or has no footage."""
        if not self.footage:
            return []
        records = index.read_records(self.root)
        found = discover(self.footage, load_addresses(self.root, records))
        return [*found.files, *(copy for copy, _ in found.copies)]

    def mask(self, frame_id: str) -> UInt8:
        """The label map uint8 [H, W] of a frame (255 is void). Raises DatasetError where there is
        none."""
        source_id = frame_id.partition(":")[0]
        for path in [p for p in self.files("masks") if p.name.startswith(f"{source_id}-")]:
            with parquet_file(path) as file:
                check_columns(file, path, MASKS.names)
                for group in range(file.num_row_groups):
                    ids = read_groups(file, [group], ["frame_id"])["frame_id"]
                    row = pc.index(ids, frame_id).as_py()
                    if row >= 0:
                        return mask_of(read_groups(file, [group]), row)
        raise DatasetError(
            f"{frame_id!r} has no mask here; the ids stand in the column frame_id of frames, "
            "where status = 'ok'"
        )


def mask_of(table: pa.Table, row: int) -> UInt8:
    """The label map uint8 [H, W] of one row of a `masks` table."""
    values = table["values"][row].values.to_numpy()
    lengths = table["lengths"][row].values.to_numpy()
    return masks.decode(values, lengths, table["height"][row].as_py(), table["width"][row].as_py())


def open_dataset(path: str | AnyPath, footage: tuple[str, ...] = ()) -> Dataset:
    """Open a dataset's folder or URL; `footage` are folders to look for footage in that isn't where
    it was seen last, or where no run of the user's into this folder read it. Raises DatasetError
    where it isn't one, or can't be reached, and for one that leads out of its folder."""
    root = path_of(path)
    if is_local(root) and not root.exists():
        raise DatasetError(f"{path}: no such folder; segpipe run INPUT -o {path} makes it")
    reach(root)
    check_closed(root)
    manifest = read_manifest(root)
    if manifest is None:
        raise DatasetError(
            f"{root}: not a dataset (no {FILE} in it); segpipe run INPUT -o FOLDER makes one"
        )
    return Dataset(root, manifest, footage)
