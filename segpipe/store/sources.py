"""The table `sources`: a file of one row for each source, with its clocks, its track, its ego mask and its drive."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segpipe import masks
from segpipe.errors import DatasetError
from segpipe.frames import SourceInfo
from segpipe.sources.identity import printable_text
from segpipe.store.files import aside, publish
from segpipe.store.schema import SCHEMA_VERSION, SOURCES
from segpipe.telemetry.facts import Clock, SourceFacts
from segpipe.telemetry.interpolate import odometer
from segpipe.telemetry.track import NO_TIME, Track

FOLDER = "sources"
_KEY = "segpipe.facts"
_FIX_ARRAYS = ("latitude", "longitude", "altitude_m", "speed_mps", "heading_deg", "accuracy_m")


def write_facts(root: Path, facts: SourceFacts, max_gap_s: float) -> None:
    """Write a source's row, aside and renamed. `max_gap_s` is the gap over which the odometer doesn't count."""
    path = _path(root, facts.info.source_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    extra = {"key": facts.key, "digest": facts.digest(), "image_settings": facts.image_settings,
             "dropped": facts.track.dropped if facts.track is not None else {}}  # fmt: skip
    schema = SOURCES.with_metadata({"segpipe.schema_version": str(SCHEMA_VERSION), _KEY: json.dumps(extra)})
    pq.write_table(pa.Table.from_pylist([_row(facts, max_gap_s)], schema), aside(path), compression="zstd")
    publish(path)


def read_facts(root: Path, source_id: str) -> SourceFacts | None:
    """A source's facts; None where it has no row yet. Raises DatasetError where the row is broken."""
    path = _path(root, source_id)
    if not path.exists():
        return None
    try:
        table = pq.read_table(path, partitioning=None)
        extra = json.loads((table.schema.metadata or {})[_KEY.encode()])
        return _facts(table.to_pylist()[0], table["track"].combine_chunks(), extra)
    except (KeyError, ValueError, TypeError, IndexError, OSError, pa.ArrowInvalid) as error:
        raise DatasetError(f"{path}: not a whole row of sources ({error}); delete it and run again") from None


def all_facts(root: Path) -> list[SourceFacts]:
    """The facts of every source, by id."""
    found = (read_facts(root, p.stem) for p in sorted((root / FOLDER).glob("*.parquet")))
    return [f for f in found if f is not None]


def _path(root: Path, source_id: str) -> Path:
    return root / FOLDER / f"{source_id}.parquet"


def _row(facts: SourceFacts, max_gap_s: float) -> dict[str, Any]:
    ego = None if facts.ego is None else masks.encode(facts.ego.astype(np.uint8))
    lengths = None
    if ego is not None:  # the runs alternate: the first one is of pixels that count, and has no length where there are none
        lengths = ([] if ego[0][0] == 0 else [0]) + ego[1].tolist()
    return {
        "source_id": facts.info.source_id,
        "kind": facts.info.kind,
        "uri": printable_text(facts.info.uri),
        "media_start_s": facts.media_start_s,
        "duration_s": facts.duration_s,
        "start": facts.start_us,
        "start_source": facts.start_source,
        "offset_s": facts.offset_s,
        "clocks": [
            {"source": c.source, "file": None if c.file is None else printable_text(c.file), "raw": printable_text(c.raw),
             "utc": c.utc_us, "note": c.note or None}
            for c in facts.clocks
        ],
        "drive_id": facts.drive_id or facts.info.source_id,
        "drive_index": facts.drive_index,
        "gap_before_s": facts.gap_before_s,
        "track_source": None if facts.track is None else printable_text(facts.track.source),
        "track_dropped": sum(facts.track.dropped.values()) if facts.track is not None else 0,
        "track": None if facts.track is None else _fixes(facts.track, max_gap_s),
        "ego_height": None if facts.ego is None else facts.ego.shape[0],
        "ego_width": None if facts.ego is None else facts.ego.shape[1],
        "ego_fraction": None if facts.ego is None else float(facts.ego.mean()),
        "ego_lengths": lengths,
        "notes": [printable_text(n) for n in facts.notes],
    }  # fmt: skip


def _fixes(track: Track, max_gap_s: float) -> list[dict[str, Any]]:
    columns: dict[str, list[Any]] = {"time": [None if t == NO_TIME else t for t in track.time_us.tolist()]}
    arrays = {"media_s": track.media_s, **{n: getattr(track, n) for n in _FIX_ARRAYS}, "track_m": odometer(track, max_gap_s)}
    for name, values in arrays.items():
        columns[name] = [None if v != v else v for v in values.tolist()]
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def _facts(row: dict[str, Any], track: pa.Array, extra: dict[str, Any]) -> SourceFacts:
    ego = None
    if row["ego_lengths"] is not None:
        lengths = np.array(row["ego_lengths"], np.uint32)
        ego = masks.decode(np.arange(len(lengths), dtype=np.uint8) % 2, lengths, row["ego_height"], row["ego_width"]).astype(bool)
    clocks = tuple(Clock(c["source"], c["raw"], _us(c["utc"]), c["note"] or "", c["file"]) for c in row["clocks"] or [])
    return SourceFacts(
        SourceInfo(row["source_id"], row["kind"], row["uri"]),
        extra["key"], row["media_start_s"], row["duration_s"], _us(row["start"]), row["start_source"],
        row["offset_s"], clocks, _track(row["track_source"], track, extra["dropped"]), ego, row["drive_id"], row["drive_index"],
        row["gap_before_s"], tuple(row["notes"] or ()), extra["image_settings"],
    )  # fmt: skip


def _track(source: str | None, column: pa.Array, dropped: dict[str, int]) -> Track | None:
    if source is None:
        return None
    fixes = column.chunk(0).flatten() if isinstance(column, pa.ChunkedArray) else column.flatten()
    times = fixes.field("time").cast(pa.int64()).fill_null(int(NO_TIME)).to_numpy(zero_copy_only=False)
    arrays = {n: fixes.field(n).fill_null(float("nan")).to_numpy(zero_copy_only=False) for n in ("media_s", *_FIX_ARRAYS)}
    return Track(source, times, dropped=dropped, **arrays)


def _us(moment: Any) -> int | None:
    """Microseconds since 1970 of a UTC datetime, exactly."""
    return None if moment is None else round(moment.timestamp() * 1e6)
