"""The names in a condition: a class or region that the dataset doesn't have is a mistake, not an
empty answer."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from segpipe.analysis.sql_tree import affirmed, columns, compared, texts
from segpipe.core.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

_NAMES = {
    "class": ("class", "SELECT class_name FROM classes ORDER BY class_id"),
    "common": ("common class", "SELECT DISTINCT common_name FROM classes ORDER BY 1"),
    "region": ("region", "SELECT region FROM regions"),
}
_COLUMNS = {
    "class": "class",
    "class_name": "class",
    "common": "common",
    "common_name": "common",
    "common_class": "common",
    "region": "region",
}
_POSSIBLE = (
    'SELECT 1 FROM (SELECT class_id, class_name, class_name AS "class", common_name, common_name '
    "AS common, region "
    "FROM classes CROSS JOIN regions) AS observations WHERE "
)
"""What a condition is tried on: each class in each region."""


def check_names(connection: duckdb.DuckDBPyConnection, where: str) -> None:
    """Look at what `where`, a valid condition over `observations`, asks of classes and regions.
    Raises ConfigError for a name (=, <>, IN) that the dataset doesn't have, for a part (LIKE,
    class_id = 99, lower(class) = …) that is true of none of its classes and regions, and for a
    negated one (NOT LIKE) that excludes none, with the nearest names and all that there are."""
    known = {
        kind: [row[0] for row in connection.execute(query).fetchall()]
        for kind, (_, query) in _NAMES.items()
    }
    statement = _parsed(connection, where)
    condition = statement["node"]["where_clause"] if statement else {}
    for column, text in compared(condition):
        kind = _COLUMNS.get(column)
        if kind is not None and text not in known[kind]:
            there = f"this dataset has no {_NAMES[kind][0]} {text!r}"
            raise ConfigError(_message(where, there, [text], known[kind]))
    for part in _parts(condition):
        if (sql := _true_of_none(connection, statement, part)) is not None:
            kinds = dict.fromkeys(_COLUMNS.get(c, "class") for c in columns(part))
            names = [n for kind in kinds for n in known[kind]]
            if "class_id" in columns(part):
                names = [f"{number} ({name})" for number, name in enumerate(known["class"])]
            there = (
                f"this dataset has no {' and '.join(_NAMES[k][0] for k in kinds)} for which {sql}"
            )
            raise ConfigError(_message(where, there, [t.strip("%") for t in texts(part)], names))


def _message(where: str, there: str, given: list[str], known: list[str]) -> str:
    lower = {k.lower(): k for k in known}
    near = [
        lower[n] for text in given for n in difflib.get_close_matches(text.lower(), lower, 3, 0.5)
    ]
    nearest = f"; the nearest: {', '.join(dict.fromkeys(near))}" if near else ""
    return f"where {where!r}: {there}{nearest}; there are {', '.join(known)}"


def _parsed(connection: duckdb.DuckDBPyConnection, where: str) -> Any:
    """The condition as DuckDB's parser understands it; nothing of it is run."""
    [(text,)] = connection.execute("SELECT json_serialize_sql(?)", [_POSSIBLE + where]).fetchall()
    parsed = json.loads(text)
    return {} if parsed.get("error") else parsed["statements"][0]


def _parts(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What AND, OR and NOT join, as far as it asks for classes and regions alone."""
    if node.get("class") == "CONJUNCTION" or node.get("type") == "OPERATOR_NOT":
        for child in node["children"]:
            yield from _parts(child)
    elif (names := {*columns(node)}) and names <= {*_COLUMNS, "class_id"}:
        yield from affirmed(node)


def _true_of_none(
    connection: duckdb.DuckDBPyConnection, statement: Any, part: dict[str, Any]
) -> str | None:
    """The SQL of a part that is true of no class in no region of the dataset; None for others, and
    where DuckDB can't tell."""
    import duckdb

    alone = {
        "error": False,
        "statements": [{**statement, "node": {**statement["node"], "where_clause": part}}],
    }
    try:
        [(query,)] = connection.execute(
            "SELECT json_deserialize_sql(?::JSON)", [json.dumps(alone)]
        ).fetchall()
        if connection.execute(query).fetchall():
            return None
    except duckdb.Error:
        return None
    sql = str(query).partition(" WHERE ")[2].replace(" ~~ ", " LIKE ").replace(" ~~* ", " ILIKE ")
    return sql[1:-1] if sql.startswith("(") and sql.endswith(")") else sql
