"""Rows of earlier schemas as those of the present one."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from segpipe.store.geo import BBOX
from segpipe.store.schema import FRAMES
from segpipe.store.table_files import READABLE

_RENAMED = {
    "frames": {"track_m": "odometer_m"},
    "gaps": {"start": "start_time"},
}
"""Columns that have another name now."""


def present_columns(table: str, rows: pa.Table) -> pa.Table:
    """Rows with the columns of the present schema, in its order and with its types. What an earlier
    one hadn't is null. Raises ValueError where that can't be."""
    names = _RENAMED.get(table, {})
    rows = rows.rename_columns([names.get(n, n) for n in rows.column_names])
    schema = READABLE[table]
    if table == "frames" and BBOX not in rows.column_names:
        rows = rows.append_column(BBOX, _boxes(rows))
    for field in schema:
        if field.name not in rows.column_names:
            if not field.nullable:
                raise ValueError(f"it lacks the column {field.name}")
            rows = rows.append_column(field.name, pa.nulls(rows.num_rows, field.type))
    return rows.select(schema.names).cast(schema)


def renamed(rows: pa.Table, name: str, new: Callable[[str], str]) -> pa.Table:
    """Rows with another text for each of a column's."""
    at = rows.schema.get_field_index(name)
    found = rows[name].combine_chunks()
    found = found.chunk(0) if isinstance(found, pa.ChunkedArray) else found
    texts = found.dictionary_encode()
    dictionary = pa.array([new(text) for text in texts.dictionary.to_pylist()], pa.string())
    return rows.set_column(at, rows.schema.field(at), dictionary.take(texts.indices))


def _boxes(rows: pa.Table) -> pa.Array:
    """The column `bbox` of points: boxes without extent."""
    kind = FRAMES.field(BBOX).type
    x, y = (rows[n].combine_chunks() for n in ("longitude", "latitude"))
    x, y = (c.chunk(0) if isinstance(c, pa.ChunkedArray) else c for c in (x, y))
    return pa.StructArray.from_arrays(
        [x, y, x, y], fields=list(kind), mask=pc.or_(pc.is_null(x), pc.is_null(y))
    )
