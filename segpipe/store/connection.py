"""A dataset as SQL sees it: a DuckDB connection with views of its tables."""

from __future__ import annotations

import os
import re
import weakref
from importlib import resources
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Protocol

import pyarrow as pa

from segpipe.core.errors import ConfigError
from segpipe.core.units import bytes_of
from segpipe.runtime.files.paths import AnyPath, is_local
from segpipe.store.address_file import FOLDER as ADDRESSES
from segpipe.store.address_file import address_table, read_addresses
from segpipe.store.addresses import Addresses
from segpipe.store.forget_mark import read_mark
from segpipe.store.table_files import READABLE

if TYPE_CHECKING:
    import duckdb
    import pyarrow.dataset as pads

    from segpipe.inference.models.spec import ClassInfo

QUERY_MEMORY = "SEGPIPE_QUERY_MEMORY"
"""The variable that says how much memory a query may take, such as 4GB."""
_LOCKED = """
SET max_temp_directory_size = '20GB';
SET python_enable_replacements = false;
SET autoinstall_known_extensions = false;
SET autoload_known_extensions = false;
SET allow_community_extensions = false;
SET allow_persistent_secrets = false;
SET enable_external_access = false;
SET lock_configuration = true
"""
"""Tables of the dataset and nothing else, for good: no files, no variables of Python, no
extensions, no secrets."""
_STREAM = re.compile(r"v\d+-")
_GLOB_CHARACTERS = set("*?[]{}")
_PLACED = ("frames", "sources")
"""Tables whose addresses are those where the footage was seen last."""
_GEOMETRY = " REPLACE (st_geomfromwkb(geometry)::GEOMETRY('OGC:CRS84') AS geometry)"
"""`geometry` of Arrow's `frames`, with the type that DuckDB gives it in GeoParquet files."""
_OLD_COLUMNS = {
    "frames": ", odometer_m AS track_m",
    "sources": ', start_time AS "start"',
    "gaps": ', start_time AS "start"',
    "tracks": ", odometer_m AS track_m",
}
"""Columns under the names that they had until schema version 4. SQL finds them by the old names,
too, until version 0.3; views.sql repeats them in the same way."""


class Tables(Protocol):
    """What a connection asks of a dataset."""

    @property
    def root(self) -> AnyPath:
        """Where it lies."""
        ...

    @property
    def classes(self) -> tuple[ClassInfo, ...]:
        """Its model's classes."""
        ...

    @property
    def regions(self) -> list[str]:
        """The names of its regions."""
        ...

    def files(self, table: str) -> list[AnyPath]:
        """A table's files."""
        ...

    def arrow_dataset(self, table: str) -> pads.Dataset:
        """A table as Arrow reads it."""
        ...


def read_only(dataset: Tables) -> duckdb.DuckDBPyConnection:
    """The connection for other people's SQL (`Dataset.read_only_duckdb`). Raises ConfigError for a
    limit in the environment that can't be read."""
    memory = query_memory()
    connection = connect(dataset)
    root = dataset.root
    folders = [f"{root / table}/" for table in READABLE] if is_local(root) else []
    connection.execute(f"SET allowed_directories = [{', '.join(map(_quoted, folders))}]")
    # DuckDB may read what lies in its folder for temporary files: it gets an empty one of its own.
    spill = TemporaryDirectory(prefix="segpipe-query-")
    weakref.finalize(connection, spill.cleanup)
    connection.execute(f"SET temp_directory = {_quoted(spill.name)}")
    connection.execute(f"SET memory_limit = '{memory}B'")
    connection.execute(_LOCKED)
    return connection


def query_memory() -> int:
    """Bytes that a query on a read-only connection may take: SEGPIPE_QUERY_MEMORY, or half of the
    machine's. Raises ConfigError."""
    said = os.environ.get(QUERY_MEMORY)
    if said is None:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    try:
        return bytes_of(said)
    except ValueError as error:
        raise ConfigError(f"{QUERY_MEMORY}: {error}") from None


def _quoted(text: str) -> str:
    """A text as a constant of SQL."""
    return "'" + text.replace("'", "''") + "'"


def connect(dataset: Tables) -> duckdb.DuckDBPyConnection:
    """A connection with the views of a dataset (`Dataset.duckdb`)."""
    import duckdb

    connection = duckdb.connect()
    # It would go to standard output, where the rows go.
    connection.execute("SET enable_progress_bar_print = false")
    # Views read a footer several times.
    connection.execute("SET TimeZone = 'UTC'; SET parquet_metadata_cache = true")
    for table in [t for t in READABLE if t != ADDRESSES]:
        _add_table(connection, dataset, table)
    # Read here: a damaged file is none, and must not keep anybody from the rows.
    addresses = read_addresses(dataset.root)
    connection.register(ADDRESSES, address_table(addresses))
    connection.register("moved", _moved(dataset, Addresses(addresses)))
    _run_sql(connection, "places.sql")
    connection.register("classes", _class_table(dataset.classes))
    connection.register("regions", pa.table({"region": dataset.regions}))
    connection.execute(
        f"CREATE VIEW tracks AS SELECT *{_OLD_COLUMNS['tracks']} "  # noqa: S608 - names of ours
        "FROM (SELECT source_id, unnest(track, recursive := true) FROM sources)"
    )
    _run_sql(connection, "views.sql")
    return connection


def _add_table(connection: duckdb.DuckDBPyConnection, dataset: Tables, table: str) -> None:
    """A view of a table, as it is stored."""
    root = dataset.root
    if (
        is_local(root)
        and dataset.files(table)
        and read_mark(root) is None
        and not _GLOB_CHARACTERS & set(str(root))
    ):
        columns, rows = "*", f"read_parquet({_quoted(str(root / table / '*.parquet'))})"
    else:
        # Nothing there yet, a path that DuckDB would take for a pattern, files that no longer
        # count, or an object store.
        columns, rows = "*" + (_GEOMETRY if table == "frames" else ""), f"{table}_arrow"
        connection.register(rows, dataset.arrow_dataset(table))
    view = f"{table}_stored" if table in _PLACED else table
    columns += _OLD_COLUMNS.get(table, "")
    connection.execute(
        f"CREATE VIEW {view} AS SELECT {columns} FROM {rows}"  # noqa: S608 - quoted above
    )


def _moved(dataset: Tables, addresses: Addresses) -> pa.Table:
    """The latest address of each file that was seen at several, by what its frames are joined
    by."""
    streams = [p.stem for p in dataset.files("sources") if _STREAM.match(p.stem)]
    rows = []
    for source_id, key, uri in addresses.moved():
        if key != source_id:
            rows.append((f"{source_id}:{key}", uri))
            continue
        others = [s for s in streams if _STREAM.sub("", s) == source_id]
        rows += [(name, uri) for name in (source_id, *others)]
    names, uris = zip(*rows, strict=True) if rows else ((), ())
    return pa.table({"frame_key": pa.array(names, pa.string()), "uri": pa.array(uris, pa.string())})


def _class_table(classes: tuple[ClassInfo, ...]) -> pa.Table:
    return pa.table(
        {
            "class_id": pa.array(range(len(classes)), pa.uint8()),
            "class_name": [c.name for c in classes],
            "common_name": [c.common_name for c in classes],
        }
    )


def _run_sql(connection: duckdb.DuckDBPyConnection, name: str) -> None:
    text = (resources.files("segpipe.store") / "sql" / name).read_text(encoding="utf-8")
    connection.execute(text)
