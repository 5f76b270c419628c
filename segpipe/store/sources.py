"""The table `sources`: a file of one row for each source, with its clocks, its track, its ego mask and its drive."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segpipe import masks
from segpipe.errors import DatasetError
from segpipe.frames import Position, SourceInfo
from segpipe.store.files import whole
from segpipe.store.places import AnyPath, each, listed, make_folder, readable
from segpipe.store.schema import FIX, SCHEMA_VERSION, SOURCES
from segpipe.telemetry.choose import COUNTED_NOT_DROPPED
from segpipe.telemetry.facts import Clock, Photo, SourceFacts
from segpipe.telemetry.interpolate import odometer
from segpipe.telemetry.track import NO_TIME, Track
from segpipe.text import printable_text

FOLDER = "sources"
_KEY = "segpipe.facts"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIX_ARRAYS = ("latitude", "longitude", "altitude_m", "speed_mps", "heading_deg", "accuracy_m")


def write_facts(root: AnyPath, facts: SourceFacts) -> None:
    """Write a source's row, aside and renamed."""
    path = _path(root, facts.info.source_id)
    make_folder(path.parent)
    extra = {"key": facts.key, "order": facts.order, "max_gap_s": facts.max_gap_s, "refused": facts.refused,
             "dropped": facts.track.dropped if facts.track is not None else {}}  # fmt: skip
    schema = SOURCES.with_metadata({"segpipe.schema_version": str(SCHEMA_VERSION), _KEY: json.dumps(extra)})
    row = _row(facts)
    lists = {"photos": _photos(facts.photos)} | ({"track": _fixes(facts.track, facts.max_gap_s)} if facts.track is not None else {})
    arrays = [lists[f.name].cast(f.type) if f.name in lists else pa.array([row.get(f.name)], f.type) for f in schema]
    with whole(path) as file:
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), file, compression="zstd")


def read_facts(root: AnyPath, source_id: str) -> SourceFacts | None:
    """A source's facts; None where it has no row yet. Raises DatasetError where the row is broken."""
    path = _path(root, source_id)
    try:
        table = pq.read_table(readable(path), partitioning=None)
        extra = json.loads((table.schema.metadata or {})[_KEY.encode()])
        return _facts(table, extra)
    except FileNotFoundError:
        return None
    except (KeyError, ValueError, TypeError, IndexError, OSError, pa.ArrowInvalid) as error:
        raise DatasetError(f"{path}: not a whole row of sources ({error}); delete it and run again") from None


def all_facts(root: AnyPath) -> list[SourceFacts]:
    """The facts of every source, by id."""
    found = each(lambda p: read_facts(root, p.stem), listed(root / FOLDER, ".parquet"))
    return [f for f in found if f is not None]


def _path(root: AnyPath, source_id: str) -> AnyPath:
    return root / FOLDER / f"{source_id}.parquet"


def _row(facts: SourceFacts) -> dict[str, Any]:
    """The columns but for track and photos."""
    dropped = facts.track.dropped if facts.track is not None else {}
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
        "track_dropped": sum(n for why, n in dropped.items() if why != COUNTED_NOT_DROPPED),
        "ego_height": None if facts.ego is None else facts.ego.shape[0],
        "ego_width": None if facts.ego is None else facts.ego.shape[1],
        "ego_fraction": None if facts.ego is None else float(facts.ego.mean()),
        "ego_lengths": lengths,
        "notes": [printable_text(n) for n in facts.notes],
    }  # fmt: skip


def _fixes(track: Track, max_gap_s: float) -> pa.Array:
    """A track as one list of fixes."""
    arrays = {"media_s": track.media_s, **{n: getattr(track, n) for n in _FIX_ARRAYS}, "track_m": odometer(track, max_gap_s)}
    columns = [pa.array(track.time_us, pa.int64(), mask=track.time_us == NO_TIME).cast(FIX.field("time").type)]
    columns += [pa.array(values, pa.float64(), from_pandas=True) for values in arrays.values()]
    return _one_list(pa.StructArray.from_arrays(columns, fields=list(FIX)))


def _photos(photos: tuple[Photo, ...]) -> pa.Array:
    rows = [
        {"file": p.name, "size_bytes": p.size_bytes, "mtime_ns": p.mtime_ns, "time": p.time_us, "time_source": p.time_source}
        | {n: None if p.own is None else getattr(p.own, n) for n in _FIX_ARRAYS}
        for p in photos
    ]
    return _one_list(pa.array(rows, SOURCES.field("photos").type.value_type))


def _one_list(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)


def _facts(table: pa.Table, extra: dict[str, Any]) -> SourceFacts:
    row = table.drop_columns(["track", "clocks", "photos", "ego_lengths"]).to_pylist()[0]
    ego = None
    if row["ego_height"] is not None:
        lengths = _values(table, "ego_lengths").to_numpy(zero_copy_only=False).astype(np.uint32)
        ego = masks.decode(np.arange(len(lengths), dtype=np.uint8) % 2, lengths, row["ego_height"], row["ego_width"]).astype(bool)
    return SourceFacts(
        SourceInfo(row["source_id"], row["kind"], row["uri"]),
        extra["key"], row["media_start_s"], row["duration_s"], _us(row["start"]), row["start_source"], row["offset_s"],
        _read_clocks(_values(table, "clocks")), _track(row["track_source"], _values(table, "track"), extra["dropped"]), ego,
        row["drive_id"], row["drive_index"], row["gap_before_s"], tuple(row["notes"] or ()),
        _read_photos(_values(table, "photos")), tuple(extra["order"]), extra["max_gap_s"], extra["refused"],
    )  # fmt: skip


def _values(table: pa.Table, name: str) -> pa.Array:
    """What the one list of a column holds."""
    found = table[name].combine_chunks()
    return (found.chunk(0) if isinstance(found, pa.ChunkedArray) else found).flatten()


def _columns(fixes: pa.Array, times: tuple[str, ...]) -> dict[str, list[Any]]:
    """A struct array as lists by field; times as microseconds since 1970."""
    fields = {f.name: fixes.field(f.name) for f in fixes.type}
    return {n: (v.cast(pa.int64()) if n in times else v).to_pylist() for n, v in fields.items()}


def _read_clocks(fixes: pa.Array) -> tuple[Clock, ...]:
    c = _columns(fixes, ("utc",))
    rows = zip(c["source"], c["raw"], c["utc"], c["note"], c["file"], strict=True)
    return tuple(Clock(source, raw, utc, note or "", file) for source, raw, utc, note, file in rows)


def _read_photos(photos: pa.Array) -> tuple[Photo, ...]:
    c = _columns(photos, ("time",))
    own = zip(*(c[n] for n in _FIX_ARRAYS), strict=True)
    rows = zip(c["file"], c["size_bytes"], c["mtime_ns"], c["time"], c["time_source"], own, strict=True)
    return tuple(
        Photo(file, size, mtime, time, source, None if p[0] is None else Position(p[0], p[1], "exif", *p[2:]))
        for file, size, mtime, time, source, p in rows
    )


def _track(source: str | None, fixes: pa.Array, dropped: dict[str, int]) -> Track | None:
    if source is None:
        return None
    times = fixes.field("time").cast(pa.int64()).fill_null(int(NO_TIME)).to_numpy(zero_copy_only=False)
    arrays = {n: fixes.field(n).fill_null(float("nan")).to_numpy(zero_copy_only=False) for n in ("media_s", *_FIX_ARRAYS)}
    return Track(source, times, dropped=dropped, **arrays)


def _us(moment: Any) -> int | None:
    """Microseconds since 1970 of a UTC datetime, exactly."""
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)
