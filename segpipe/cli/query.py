"""The command query: SQL that reads a dataset and can't change anything."""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from argparse import Namespace
from datetime import date, time
from typing import TYPE_CHECKING, Any

from segpipe.core.errors import EXIT_OK, ConfigError, DatasetError
from segpipe.core.text import csv_cell, csv_text
from segpipe.store.dataset import open_dataset

if TYPE_CHECKING:
    import duckdb

_ALLOWED = "SELECT, WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, SHOW, PIVOT and EXPLAIN of these"
_ONLY_READS = (
    f"segpipe query only reads; allowed are {_ALLOWED}. --allow-files runs any statement, with "
    "your own rights"
)
_READING_NODES = {"SELECT_NODE", "SET_OPERATION_NODE", "RECURSIVE_CTE_NODE", "CTE_NODE"}
_EXPLAIN = re.compile(r"\s*EXPLAIN(\s+ANALYZE)?(\s*\([^()]*\))?", re.IGNORECASE)
_PIVOT = re.compile(r"\s*(PIVOT|PIVOT_WIDER|SELECT|FROM)\b", re.IGNORECASE)
_GEOMETRY = re.compile(r"\bGEOMETRY\b(\('[^']*'\))?")


def query(args: Namespace) -> int:
    """`segpipe query`."""
    import duckdb

    from segpipe.analysis.limits import limited

    dataset = open_dataset(args.dataset)
    own_rights = bool(args.allow_files)
    connection = dataset.duckdb() if own_rights else dataset.read_only_duckdb()
    names = [name for (name,) in connection.execute("SHOW TABLES").fetchall()]
    views = ", ".join(name for name in names if name != "frames_arrow")
    try:
        with limited(connection):
            _run(connection, args.sql, args.format, own_rights)
    except duckdb.PermissionException as error:
        raise DatasetError(
            f"the query failed: {_one_line(error)}; segpipe query reads nothing but the dataset's "
            f"views: {views}; --allow-files lets it use files as you may"
        ) from None
    except duckdb.Error as error:
        raise DatasetError(f"the query failed: {_one_line(error)} (views: {views})") from None
    return EXIT_OK


def _run(connection: duckdb.DuckDBPyConnection, sql: str, form: str, own_rights: bool) -> None:
    """Run the statements and print what they give; without `own_rights` only those that read."""
    import duckdb

    if own_rights:
        statements = [statement.query for statement in duckdb.extract_statements(sql)]
    else:
        statements = reading_statements(connection, sql)
    for number, statement in enumerate(statements):
        if number:
            print()
        found = connection.sql(statement)
        if found is not None:  # a statement that has no rows, such as COPY
            _print(as_text(found), form)


def reading_statements(connection: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """The statements of `sql`. Raises ConfigError, before any is run, where there is none or one
    does more than read."""
    import duckdb

    found = duckdb.extract_statements(sql)
    if not found:
        raise ConfigError(
            "the query is empty: give one statement, such as 'SELECT count(*) FROM frames'"
        )
    for statement in found:
        if not _reads(connection, statement):
            raise ConfigError(
                f"{' '.join(statement.query.split())[:60]!r} is refused: {_ONLY_READS}"
            )
    return [statement.query for statement in found]


def _reads(connection: duckdb.DuckDBPyConnection, statement: duckdb.Statement) -> bool:
    """Whether a statement only reads.

    The lock of the connection isn't enough: what may be read in the dataset's folder may be written
    there, too. Nor is the kind of the statement: `WITH x AS (COPY …) SELECT …` is a SELECT. DuckDB
    allows that at the top level alone.
    """
    import duckdb

    kind, text = statement.type.name, statement.query
    if kind == "EXPLAIN":  # with ANALYZE it runs what it explains
        head = _EXPLAIN.match(text)
        inner = duckdb.extract_statements(text[head.end() :]) if head else []
        return len(inner) == 1 and inner[0].type.name == "SELECT" and _reads(connection, inner[0])
    if kind == "MULTI":  # a PIVOT that looks up its columns first; DuckDB doesn't show its tree
        return _PIVOT.match(text) is not None
    return kind == "SELECT" and _nodes(connection, text) <= _READING_NODES


def _nodes(connection: duckdb.DuckDBPyConnection, select: str) -> set[str]:
    """The kinds of queries in a SELECT, as DuckDB parses it."""
    (text,) = connection.execute("SELECT json_serialize_sql(?)", [select]).fetchall()[0]
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            kind = value.get("type")
            found.update([kind] if isinstance(kind, str) and kind.endswith("_NODE") else [])
            value = list(value.values())
        for part in value if isinstance(value, list) else []:
            walk(part)

    content = json.loads(text)
    walk(content)
    return {"UNKNOWN"} if content.get("error") else found


def as_text(relation: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """The relation with geometries as WKT, those within lists and structs too."""
    kinds = [str(kind) for kind in relation.types]
    if not any(_GEOMETRY.search(kind) for kind in kinds):
        return relation
    columns = []
    for place, (kind, name) in enumerate(zip(kinds, relation.columns, strict=True), 1):
        cast = (
            f"#{place}::{_GEOMETRY.sub('VARCHAR', kind)}" if _GEOMETRY.search(kind) else f"#{place}"
        )
        quoted = name.replace('"', '""')
        columns.append(f'{cast} AS "{quoted}"')
    return relation.project(", ".join(columns))


def _print(relation: duckdb.DuckDBPyRelation, form: str) -> None:
    """Print the rows as a table, as CSV or as JSON."""
    if form == "table":
        relation.show(max_width=None if sys.stdout.isatty() else 10_000, max_rows=1000)
        return
    names, rows = relation.columns, relation.fetchall()
    if form == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(map(csv_text, names))
        writer.writerows(map(_cell, row) for row in rows)
        return
    json.dump(
        [dict(zip(names, map(_plain, row), strict=True)) for row in rows], sys.stdout, indent=1
    )
    print()


def _cell(value: object) -> object:
    """A value for CSV: lists and structs as JSON, texts as `csv_text` has them."""
    if isinstance(value, (dict, list, tuple, bytes)):
        plain = _plain(value)
        value = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
    return csv_cell(value)


def _plain(value: object) -> object:
    """A value for JSON: times in ISO 8601, bytes as hexadecimal digits, NaN as null, what JSON has
    no type for as text."""
    if isinstance(value, dict):
        return {str(key): _plain(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(part) for part in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, (date, time)):
        return value.isoformat()
    return value.hex() if isinstance(value, bytes) else str(value)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())
