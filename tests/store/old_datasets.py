"""Datasets that the code of earlier schema versions made (`make_old_dataset`), unpacked into a
test's folder: footage and dataset as if they had been made there."""

from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.store.make_old_dataset import DATA, FOOTAGE_NS, ROOT


def unpack(version: int, folder: Path) -> Path:
    """The dataset `folder`/out of a schema version, made of `folder`/footage; its path."""
    with tarfile.open(DATA / f"schema{version}.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    for path in (folder / "footage").rglob("*.*"):
        os.utime(path, ns=(FOOTAGE_NS, FOOTAGE_NS))
    out = folder / "out"
    for table in ("frames", "sources"):
        for path in (out / table).glob("*.parquet"):
            _move(path, f"{ROOT}/", f"{folder.resolve()}/")
    return out


def _move(path: Path, old: str, new: str) -> None:
    """Let a file say that its footage lies elsewhere: in its column `uri` and in its footer."""
    with pq.ParquetFile(path) as file:
        rows, metadata = file.read(), file.metadata.metadata
    at = rows.schema.get_field_index("uri")
    moved = pc.replace_substring(rows["uri"], old, new)
    said = {k: v.replace(old.encode(), new.encode()) for k, v in metadata.items()}
    said.pop(b"ARROW:schema", None)
    rows = rows.set_column(at, rows.schema.field(at), moved).replace_schema_metadata(said)
    pq.write_table(rows, path, row_group_size=64, compression="zstd")
