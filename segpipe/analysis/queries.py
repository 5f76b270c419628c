"""The SQL files beside this module, run with their variables."""

from __future__ import annotations

from importlib import resources
from typing import TYPE_CHECKING

import pyarrow as pa

if TYPE_CHECKING:
    import duckdb


def sql(name: str) -> str:
    """The text of `sql/NAME.sql`."""
    return (resources.files("segpipe.analysis") / "sql" / f"{name}.sql").read_text(encoding="utf-8")


def run(connection: duckdb.DuckDBPyConnection, name: str, **variables: str | float) -> None:
    """Set the variables and run `sql/NAME.sql`; what it creates is temporary."""
    _set(connection, variables)
    connection.execute(sql(name))


def rows(connection: duckdb.DuckDBPyConnection, name: str, **variables: str | float) -> pa.Table:
    """Set the variables and take the rows of `sql/NAME.sql`, one SELECT."""
    _set(connection, variables)
    return connection.sql(sql(name)).to_arrow_table()


def _set(connection: duckdb.DuckDBPyConnection, variables: dict[str, str | float]) -> None:
    for key, value in variables.items():
        text = (
            "'" + value.replace("'", "''") + "'" if isinstance(value, str) else repr(float(value))
        )
        connection.execute(f"SET VARIABLE {key} = {text}")
