"""Datasets that were never footage: schema-valid Parquet out of arrays, so that an answer is known
beforehand."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.core.config.regions import RegionSettings
from segpipe.store.dataset import Dataset, open_dataset
from segpipe.store.schema import CLASS_STATS, FRAMES, SCHEMA_VERSION, SOURCES, TABLES
from segpipe.store.table_files import file_schema

CLASSES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
REGION_PIXELS = {
    "frame": 400_000,
    "left": 200_000,
    "right": 200_000,
    "near": 100_000,
    "middle": 80_000,
    "far": 20_000,
    "path": 50_000,
}
START = datetime(2026, 5, 1, 10, 0, tzinfo=UTC)
METRES_PER_DEGREE = 111_195.0
"""On a sphere of 6371 km: of latitude anywhere, of longitude at the equator."""


@dataclass
class Clip:
    """One source. Arrays have an entry per frame (NaN is null); `shares` maps (region, class name)
    to pixel fractions, a number or an array, where 0 means that the class is absent. Without
    `step_s` the frames have no video time."""

    source_id: str
    frames: int
    shares: dict[tuple[str, str], Any]
    drive_id: str = ""
    drive_index: int = 0
    step_s: float | None = 0.1
    start: datetime | None = START
    media_start_s: float = 0.0
    gap_before_s: float | None = None
    latitude: Any = np.nan
    longitude: Any = np.nan
    odometer_m: Any = np.nan
    speed_mps: Any = np.nan
    usable: Any = True
    failed: tuple[int, ...] = ()
    columns: dict[str, Any] = field(default_factory=dict)


def along(clip_metres: Any, latitude: float = 51.5, longitude: float = -0.12) -> dict[str, Any]:
    """Positions and odometer_m of a way due east, at these metres."""
    metres = np.asarray(clip_metres, float)
    east = metres / (METRES_PER_DEGREE * np.cos(np.radians(latitude)))
    return {
        "latitude": np.full(len(metres), latitude),
        "longitude": longitude + east,
        "odometer_m": metres,
    }


def write_dataset(
    root: Path,
    clips: Iterable[Clip],
    classes: tuple[str, ...] = CLASSES,
    shard: int = 512,
    rng: np.random.Generator | None = None,
) -> Dataset:
    """Write a dataset as the store does: shards of so many frames, row groups of 64. With `rng`
    confidences, components and boxes vary. Masks are left out."""
    for table in (*TABLES, "sources"):
        (root / table).mkdir(parents=True, exist_ok=True)
    described = [{"id": i, "name": n, "colour": [i, i, i]} for i, n in enumerate(classes)]
    model = {"source": "fake:", "digest": "0" * 12, "precision": "float32", "classes": described}
    manifest = {
        "format": "segpipe",
        "schema_version": SCHEMA_VERSION,
        "model": model,
        "sampling": {},
        "frames_per_shard": shard,
    }
    manifest["regions"] = RegionSettings().model_dump(mode="json")
    manifest["ignore_regions"] = []
    (root / "dataset.json").write_text(json.dumps(manifest))
    for clip in clips:
        frames, stats = _frames(clip), _stats(clip, classes, rng)
        starts = np.searchsorted(stats.pop("row"), np.arange(clip.frames + 1))
        table = pa.table({n: stats[n] for n in CLASS_STATS.names}).cast(CLASS_STATS)
        for first in range(0, clip.frames, shard):
            last, name = min(first + shard, clip.frames), f"{clip.source_id}-{first:06d}.parquet"
            _write(
                root / "frames" / name,
                frames,
                range(first, last + 1)[::64],
                np.arange(clip.frames + 1),
                last,
            )
            _write(root / "class_stats" / name, table, range(first, last + 1)[::64], starts, last)
        pq.write_table(
            pa.Table.from_pylist([_source(clip)], SOURCES),
            root / "sources" / f"{clip.source_id}.parquet",
        )
    return open_dataset(root)


def _write(path: Path, table: pa.Table, firsts: range, starts: np.ndarray, end: int) -> None:
    dictionary = ["source_id", "class_name", "region", "status", "error", "uri", "timestamp_source"]
    used = [n for n in table.column_names if n in dictionary]
    with pq.ParquetWriter(
        path, table.schema, compression="zstd", compression_level=3, use_dictionary=used
    ) as writer:
        for i in firsts:
            a, b = starts[i], starts[min(i + 64, end)]
            if b > a:
                writer.write_table(table.slice(a, b - a))


def _pts(clip: Clip) -> np.ndarray:
    return (
        np.full(clip.frames, np.nan)
        if clip.step_s is None
        else clip.media_start_s + np.arange(clip.frames) * clip.step_s
    )


def _ids(clip: Clip) -> list[str]:
    return [f"{clip.source_id}:{i:08d}" for i in range(clip.frames)]


def _frames(clip: Clip) -> pa.Table:
    """The `frames` of a clip."""
    n, pts = clip.frames, _pts(clip)
    offset = np.nan_to_num((pts - clip.media_start_s) * 1e6).round().astype(np.int64)
    moment = None if clip.start is None else round(clip.start.timestamp() * 1e6)
    ok = ~np.isin(np.arange(n), clip.failed)
    known: dict[str, Any] = {
        "frame_id": _ids(clip),
        "source_id": [clip.source_id] * n,
        "uri": [f"/footage/{clip.source_id}.mp4"] * n,
        "frame_index": None if clip.step_s is None else np.arange(n),
        "pts_s": pts,
        "timestamp": None if moment is None else moment + offset,
        "latitude": clip.latitude,
        "longitude": clip.longitude,
        "odometer_m": clip.odometer_m,
        "speed_mps": clip.speed_mps,
        "width": 1280,
        "height": 720,
        "sharpness": 80.0,
        "brightness": 120.0,
        "contrast": 50.0,
        "saturated_fraction": 0.02,
        "mean_confidence": 0.9,
        "mean_entropy": 0.3,
        "changed_fraction": 0.1,
        "valid_pixels": REGION_PIXELS["frame"],
        "usable": np.broadcast_to(clip.usable, n) & ok,
        "status": np.where(ok, "ok", "error"),
        "error": np.where(ok, None, "can't be read"),
        **clip.columns,
    }
    known |= _points(
        *(np.broadcast_to(np.asarray(v, float), n) for v in (clip.longitude, clip.latitude))
    )
    return pa.table(
        [_column(f, known.get(f.name), n) for f in FRAMES], schema=file_schema("frames")
    )


def _points(longitude: np.ndarray, latitude: np.ndarray) -> dict[str, pa.Array]:
    """The columns `geometry` and `bbox` of positions [N]; null where there is none."""
    there = np.isfinite(latitude)
    wkb = np.zeros(len(latitude), [("order", "u1"), ("kind", "<u4"), ("x", "<f8"), ("y", "<f8")])
    wkb["order"], wkb["kind"], wkb["x"], wkb["y"] = 1, 1, longitude, latitude
    geometry = [bytes(point) if known else None for point, known in zip(wkb, there, strict=True)]
    sides = [pa.array(v) for v in (longitude, latitude, longitude, latitude)]
    box = pa.StructArray.from_arrays(
        sides, fields=list(FRAMES.field("bbox").type), mask=pa.array(~there)
    )
    return {"geometry": pa.array(geometry, pa.binary()), "bbox": box}


def _column(f: pa.Field, value: Any, n: int) -> pa.Array:
    if value is None:
        return pa.nulls(n, f.type)
    if isinstance(value, pa.Array):
        return value
    if isinstance(value, list):
        return pa.array(value, f.type)
    array = pa.array(np.broadcast_to(value, n), from_pandas=True)
    return (
        array.cast(pa.int64()).cast(f.type) if pa.types.is_timestamp(f.type) else array.cast(f.type)
    )


def _stats(clip: Clip, classes: tuple[str, ...], rng: np.random.Generator | None) -> dict[str, Any]:
    """The columns of a clip's `class_stats`, and `row`: each row's frame."""
    regions = list(dict.fromkeys(r for r, _ in clip.shares))
    cube = np.zeros((clip.frames, len(regions), len(classes)))
    for (region, name), share in clip.shares.items():
        cube[:, regions.index(region), classes.index(name)] = share
    cube[list(clip.failed)] = 0
    row, region, kind = np.nonzero(cube)
    n, share = len(row), cube[row, region, kind]
    valid = np.array([REGION_PIXELS.get(r, 10_000) for r in regions] or [1])[region]
    pts = pa.array(_pts(clip), from_pandas=True)
    sizes = np.round(1280 * np.sqrt(share)).astype(np.int32)
    left = (
        rng.integers(0, 1280 - np.minimum(sizes, 1279)).astype(np.int32)
        if rng
        else np.zeros(n, np.int32)
    )
    largest = rng.uniform(0.4, 1, n) if rng else np.ones(n)
    return {
        "row": row,
        "frame_id": pa.array(_ids(clip)).take(pa.array(row)),
        "source_id": pa.repeat(clip.source_id, n),
        "frame_index": pa.nulls(n, pa.int64()) if clip.step_s is None else row,
        "pts_s": pts.take(pa.array(row)),
        "region": pa.array(regions or [""]).take(pa.array(region)),
        "class_id": kind.astype(np.int32),
        "class_name": pa.array(classes).take(pa.array(kind)),
        "pixel_count": np.round(share * valid).astype(np.int64),
        "valid_pixels": valid,
        "pixel_fraction": share,
        "mean_confidence": rng.uniform(0.5, 0.99, n) if rng else np.full(n, 0.9),
        "x_min": left,
        "y_min": np.zeros(n, np.int32),
        "x_max": left + sizes,
        "y_max": np.full(n, 719, np.int32),
        "centroid_x": left + sizes / 2,
        "centroid_y": np.full(n, 360.0),
        "components": rng.integers(1, 9, n).astype(np.int32) if rng else np.ones(n, np.int32),
        "largest_component_fraction": largest,
        "largest_x_min": left,
        "largest_x_max": left + sizes,
        "largest_y_min": 719 - np.round(719 * largest).astype(np.int32),
        "largest_y_max": np.full(n, 719, np.int32),
    }


def _source(clip: Clip) -> dict[str, Any]:
    """The `sources` row of a clip, with a fix at every tenth frame."""
    n, pts = clip.frames, _pts(clip)
    latitude, longitude, metres = (
        np.broadcast_to(v, n) for v in (clip.latitude, clip.longitude, clip.odometer_m)
    )
    track = [
        {
            "media_s": float(pts[i]),
            "latitude": float(latitude[i]),
            "longitude": float(longitude[i]),
            "odometer_m": float(metres[i]),
        }
        for i in range(0, n, 10)
        if np.isfinite(latitude[i])
    ]
    return {
        "source_id": clip.source_id,
        "kind": "video" if clip.step_s else "images",
        "uri": f"/footage/{clip.source_id}.mp4",
        "media_start_s": clip.media_start_s,
        "duration_s": n * (clip.step_s or 0.0),
        "start_time": clip.start,
        "start_source": "gps",
        "drive_id": clip.drive_id or clip.source_id,
        "drive_index": clip.drive_index,
        "gap_before_s": clip.gap_before_s,
        "track_source": "files" if track else None,
        "track_dropped": 0,
        "track": track,
    }
