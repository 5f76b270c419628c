"""The table `sources`: a file of one row for each source, with its clocks, its track, its ego mask
and its drive."""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.core.errors import DatasetError
from segpipe.core.json_text import read_json
from segpipe.core.text import printable_text
from segpipe.core.types import SourceInfo
from segpipe.runtime.files.atomic import atomic_write, make_folder
from segpipe.runtime.files.paths import AnyPath, list_dir, map_paths, remove
from segpipe.sources.fingerprint import is_key
from segpipe.sources.table import source_of
from segpipe.store import file_streams, masks
from segpipe.store.forget_mark import marked_names
from segpipe.store.lock import check_held
from segpipe.store.names import table_file
from segpipe.store.reading import read_table
from segpipe.store.schema import FIX, SCHEMA_VERSION, SOURCES
from segpipe.store.source_reading import FIX_ARRAYS, metadata_of_row
from segpipe.store.time_maps import entries
from segpipe.telemetry.choose import COUNTED_NOT_DROPPED
from segpipe.telemetry.interpolate import odometer
from segpipe.telemetry.metadata import Photo, SourceMetadata
from segpipe.telemetry.track import NO_TIME, Track

FOLDER = file_streams.FOLDER


_KEY = file_streams.KEY
_BROKEN = (
    *(KeyError, ValueError, TypeError, IndexError, AttributeError, OverflowError, OSError),
    *(pa.ArrowException, DatasetError),
)
"""What a damaged row may raise."""


def write_source_metadata(root: AnyPath, facts: SourceMetadata) -> None:
    """Write a source's row, aside and renamed."""
    path = _path(root, facts.info.source_id)
    make_folder(path.parent)
    dropped = facts.track.dropped if facts.track is not None else {}
    extra = {
        "key": facts.key,
        "order": facts.order,
        "max_gap_s": facts.max_gap_s,
        "refused": facts.refused,
        "dropped": dropped,
    }
    extra |= file_streams.streams_content(facts)
    schema = SOURCES.with_metadata(
        {"segpipe.schema_version": str(SCHEMA_VERSION), _KEY: json.dumps(extra)}
    )
    row = _row(facts)
    lists = {"photos": _photos(facts.photos)} | (
        {"track": _fixes(facts.track, facts.max_gap_s)} if facts.track is not None else {}
    )
    if facts.time_map is not None:
        lists["time_map"] = _one_list(entries(facts.time_map))
    arrays = [
        lists[f.name].cast(f.type) if f.name in lists else pa.array([row.get(f.name)], f.type)
        for f in schema
    ]
    with atomic_write(path) as file:
        pq.write_table(pa.Table.from_arrays(arrays, schema=schema), file, compression="zstd")


def read_source_metadata(root: AnyPath, source_id: str) -> SourceMetadata | None:
    """A source's facts; None where it has no row yet. Raises DatasetError where the row is
    broken."""
    path = _path(root, source_id)
    try:
        table = read_table(path)
        extra = read_json((table.schema.metadata or {})[_KEY.encode()])
        facts = metadata_of_row(table, extra)
        if table.num_rows != 1 or facts.info.source_id != source_id:
            raise ValueError(f"it is of {facts.info.source_id!r}")
        return facts
    except FileNotFoundError:
        return None
    except _BROKEN as error:
        raise DatasetError(
            f"{path}: not a whole row of sources ({error}); delete it and run again"
        ) from None


def all_source_metadata(root: AnyPath) -> list[SourceMetadata]:
    """The facts of every source, by id."""
    paths = [_path(root, source_id) for source_id in source_ids(root)]
    found = map_paths(lambda p: read_source_metadata(root, p.stem), paths)
    return [f for f in found if f is not None]


def sources_of_file(root: AnyPath, file_id: str) -> list[str]:
    """The ids of the sources with a row that are in one file: its video streams."""
    one = re.compile(rf"(v\d+-)?{re.escape(file_id)}")
    return [name for name in source_ids(root) if one.fullmatch(name)]


def source_ids(root: AnyPath) -> list[str]:
    """The ids of the sources that have a row, without one that is being taken out."""
    gone = marked_names(root, FOLDER)
    return [p.stem for p in list_dir(root / FOLDER, ".parquet") if p.stem not in gone]


def remove_source(root: AnyPath, source_id: str) -> None:
    """Take out a source's row."""
    check_held(root)
    remove(_path(root, source_id))


def _path(root: AnyPath, source_id: str) -> AnyPath:
    return table_file(root, FOLDER, source_id)


def _row(facts: SourceMetadata) -> dict[str, Any]:
    """The columns but for track, time map and photos."""
    dropped = facts.track.dropped if facts.track is not None else {}
    ego = None if facts.ego is None else masks.encode(facts.ego.astype(np.uint8))
    lengths = None
    if ego is not None:
        # The runs alternate: the first one is of pixels that count, and has no length where there
        # are none.
        lengths = ([] if ego[0][0] == 0 else [0]) + ego[1].tolist()
    return {
        "source_id": facts.info.source_id,
        "kind": facts.info.kind,
        "uri": printable_text(facts.info.uri),
        "fingerprint": _fingerprint(facts.info),
        "stream": facts.stream,
        "media_start_s": facts.media_start_s,
        "duration_s": facts.duration_s,
        "start_time": facts.start_us,
        "start_source": facts.start_source,
        "offset_s": facts.offset_s,
        "clocks": [
            {
                "source": c.source,
                "file": None if c.file is None else printable_text(c.file),
                "raw": printable_text(c.raw),
                "utc": c.utc_us,
                "note": c.note or None,
                "other_utc": c.other_us,
            }
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
    }


def _fingerprint(info: SourceInfo) -> str | None:
    """The fingerprint of the file that a source is in; none of a folder, which has many files, of a
    stream, which has none, and of a file whose content isn't known."""
    kind = source_of(info.kind)
    is_file = kind.replayable and not kind.files_are_frames
    return info.file_id if is_file and is_key(info.file_id) else None


def _fixes(track: Track, max_gap_s: float) -> pa.Array:
    """A track as one list of fixes."""
    arrays = {
        "media_s": track.media_s,
        **{n: getattr(track, n) for n in FIX_ARRAYS},
        "odometer_m": odometer(track, max_gap_s),
    }
    columns = [
        pa.array(track.time_us, pa.int64(), mask=track.time_us == NO_TIME).cast(
            FIX.field("time").type
        )
    ]
    columns += [pa.array(values, pa.float64(), from_pandas=True) for values in arrays.values()]
    return _one_list(pa.StructArray.from_arrays(columns, fields=list(FIX)))


def _photos(photos: tuple[Photo, ...]) -> pa.Array:
    rows = [
        {
            "key": p.key,
            "file": p.name,
            "size_bytes": p.size_bytes,
            "mtime_ns": p.mtime_ns,
            "time": p.time_us,
            "time_source": p.time_source,
        }
        | {n: None if p.own is None else getattr(p.own, n) for n in FIX_ARRAYS}
        for p in photos
    ]
    return _one_list(pa.array(rows, SOURCES.field("photos").type.value_type))


def _one_list(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, len(values)], pa.int32()), values)
