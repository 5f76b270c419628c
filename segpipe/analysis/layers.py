"""Layers as files: GeoParquet 1.1 or GeoJSON, whole or not at all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from segpipe.core.errors import ConfigError, DatasetError
from segpipe.runtime.files.atomic import publish, temp_path, write_text

if TYPE_CHECKING:
    import geopandas

SUFFIXES = (".parquet", ".geojson")


def check_path(path: Path) -> None:
    """Raises ConfigError for a suffix that isn't one of `SUFFIXES`: before the work, not after
    it."""
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(
            f"{path}: the suffix says how a layer is written; allowed are {' and '.join(SUFFIXES)}"
        )


def write_layer(frame: geopandas.GeoDataFrame, path: Path) -> None:
    """Write rows with geometry (CRS84) as GeoParquet 1.1 with boxes to filter by, or as GeoJSON,
    where times are ISO 8601 and what isn't known is null. Raises ConfigError for another suffix,
    DatasetError where the file can't be written."""
    check_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix.lower() == ".geojson":
            write_text(path, as_geojson(frame))
            return
        frame.to_parquet(
            temp_path(path),
            schema_version="1.1.0",
            compression="zstd",
            index=False,
            write_covering_bbox=True,
        )
        publish(path)
    except OSError as error:
        temp_path(path).unlink(missing_ok=True)
        raise DatasetError(
            f"{path}: can't be written ({error.strerror or error}); choose another place"
        ) from None


def as_geojson(frame: geopandas.GeoDataFrame) -> str:
    """A feature collection (RFC 7946: longitude and latitude in WGS 84, no CRS member)."""
    import pandas

    plain = frame.copy()
    for name in plain.columns:
        if isinstance(plain[name].dtype, pandas.DatetimeTZDtype):
            plain[name] = (
                plain[name].map(lambda t: None if pandas.isna(t) else t.isoformat()).astype(object)
            )
    content = json.loads(plain.to_json(na="null", drop_id=True, show_bbox=False))
    content.pop("crs", None)
    return json.dumps(content, allow_nan=False) + "\n"
