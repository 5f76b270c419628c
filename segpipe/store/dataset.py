"""Reading a dataset: Arrow, Polars, DuckDB, and a frame's mask as an array."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq

from segpipe import masks
from segpipe.errors import DatasetError
from segpipe.frames import UInt8
from segpipe.store.manifest import FILE, classes_of, read_manifest
from segpipe.store.places import AnyPath, each, gone, is_local, listed, path_of, reach, reaching, readable
from segpipe.store.records import ShardRecord, read_record
from segpipe.store.schema import SIDE_TABLES, SOURCES, TABLES
from segpipe.taxonomy_files import common_name

if TYPE_CHECKING:
    import duckdb
    import polars

    from segpipe.models.spec import ClassInfo

READABLE = {**TABLES, **SIDE_TABLES, "sources": SOURCES}
"""The tables that can be read: the shards' and the sources'."""
_GLOB_CHARACTERS = set("*?[]{}")


@dataclass(frozen=True)
class Dataset:
    """A dataset on disk or on an object store. Its tables are plain Parquet: every method here is a convenience."""

    root: AnyPath
    manifest: dict[str, Any]

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """The classes with their colours, in the order of their labels."""
        return classes_of(self.manifest)

    def files(self, table: str) -> list[AnyPath]:
        """A table's files, sorted. Raises DatasetError for a name that is no table."""
        if table not in READABLE:
            raise DatasetError(f"no table {table!r}; there are {', '.join(READABLE)}")
        return listed(self.root / table, ".parquet")

    def arrow_dataset(self, table: str) -> pads.Dataset:
        """A table as a lazy Arrow dataset."""
        files = self.files(table)
        system = None if is_local(self.root) else self.root.fs
        return pads.dataset([str(f) if is_local(f) else f.path for f in files], READABLE[table], "parquet", filesystem=system)

    def arrow(self, table: str, columns: list[str] | None = None) -> pa.Table:
        """A table, or some of its columns, in memory."""
        try:
            with reaching(self.root):
                return self.arrow_dataset(table).to_table(columns=columns)
        except FileNotFoundError as error:
            raise gone(self.root / table) from error

    def polars(self, table: str) -> polars.LazyFrame:
        """A table as a Polars lazy frame."""
        import polars

        return polars.scan_pyarrow_dataset(self.arrow_dataset(table))

    def duckdb(self) -> duckdb.DuckDBPyConnection:
        """A DuckDB connection with a view for each table and `classes`, `tracks`, `common_stats`, `observations` and
        `frame_metres`.

        `classes` names each class's common name; `tracks` holds the sources' fixes, a row each. The other three stand with
        their meaning in `segpipe/analytics/sql/views.sql`.
        """
        import duckdb

        connection = duckdb.connect()
        connection.execute("SET TimeZone = 'UTC'; SET parquet_metadata_cache = true")  # views read a footer several times
        for table in READABLE:
            if is_local(self.root) and self.files(table) and not _GLOB_CHARACTERS & set(str(self.root)):
                pattern = str(self.root / table / "*.parquet").replace("'", "''")
                connection.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{pattern}')")
            else:  # nothing there yet, a path that DuckDB would take for a pattern, or an object store
                connection.register(table, self.arrow_dataset(table))
        connection.register("classes", self._classes())
        connection.execute("CREATE VIEW tracks AS SELECT source_id, unnest(track, recursive := true) FROM sources")
        # A file of the package, not its code: the analytics stand above the store.
        connection.execute((resources.files("segpipe") / "analytics" / "sql" / "views.sql").read_text(encoding="utf-8"))
        return connection

    def _classes(self) -> pa.Table:
        names = [c.name for c in self.classes]
        return pa.table(
            {
                "class_id": pa.array(range(len(names)), pa.uint8()),
                "class_name": names,
                "common_name": [common_name(n) for n in names],
            }
        )

    def records(self) -> list[ShardRecord]:
        """What each committed shard holds."""
        return each(read_record, self.files("frames"))

    def mask(self, frame_id: str) -> UInt8:
        """The label map uint8 [H, W] of a frame (255 is void). Raises DatasetError where there is none."""
        source_id = frame_id.partition(":")[0]
        for path in [p for p in self.files("masks") if p.name.startswith(f"{source_id}-")]:
            found = pq.read_table(readable(path), filters=[("frame_id", "=", frame_id)], partitioning=None)
            if found.num_rows:
                return mask_of(found, 0)
        raise DatasetError(f"{frame_id!r} has no mask here; the ids stand in the column frame_id of frames, where status = 'ok'")


def mask_of(table: pa.Table, row: int) -> UInt8:
    """The label map uint8 [H, W] of one row of a `masks` table."""
    values = table["values"][row].values.to_numpy()
    lengths = table["lengths"][row].values.to_numpy()
    return masks.decode(values, lengths, table["height"][row].as_py(), table["width"][row].as_py())


def open_dataset(path: str | AnyPath) -> Dataset:
    """Open a dataset's folder or URL. Raises DatasetError where it isn't one, or can't be reached."""
    root = path_of(path)
    if is_local(root) and not root.exists():
        raise DatasetError(f"{path}: no such folder; segpipe run INPUT -o {path} makes it")
    reach(root)
    manifest = read_manifest(root)
    if manifest is None:
        raise DatasetError(f"{root}: not a dataset (no {FILE} in it); segpipe run INPUT -o FOLDER makes one")
    return Dataset(root, manifest)
