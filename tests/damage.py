"""Damage to a dataset, as disks, people and bugs do it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from segpipe.core.config.job import Job
from segpipe.core.types import FileStamp, FrameFailure, FrameRef, Shard, SourceInfo
from segpipe.inference.models.fake import FakeSegmenter
from segpipe.store import Store, make_manifest
from segpipe.store.records import SHARD_KEY
from segpipe.store.sources import write_source_metadata
from segpipe.telemetry.metadata import SourceMetadata

Change = Callable[[pa.Table], pa.Table]


def texts(path: Path) -> dict[bytes, bytes]:
    """What the footer of a file says besides its columns."""
    return {k: v for k, v in pq.read_metadata(path).metadata.items() if k != b"ARROW:schema"}


def rewrite(path: Path, change: Change) -> None:
    """Change a file's table; its footer's texts stay."""
    table = pq.read_table(path, partitioning=None)
    pq.write_table(change(table.replace_schema_metadata(texts(path))), path)


def with_record(path: Path, to: Path | None = None, **changes: Any) -> None:
    """Change what a shard's `frames` file says of itself; `to` writes it there."""
    said = texts(path)
    said[SHARD_KEY.encode()] = json.dumps(json.loads(said[SHARD_KEY.encode()]) | changes).encode()
    pq.write_table(pq.read_table(path, partitioning=None).replace_schema_metadata(said), to or path)


def put(column: str, row: int, value: Any) -> Change:
    """Another value in one row."""

    def change(table: pa.Table) -> pa.Table:
        field, values = table.schema.field(column), table[column].to_pylist()
        values[row] = value(values[row]) if callable(value) else value
        return table.set_column(
            table.schema.get_field_index(column), field, pa.array(values, field.type)
        )

    return change


def without(row: int) -> Change:
    return lambda table: pa.concat_tables([table.slice(0, row), table.slice(row + 1)])


def twice(row: int) -> Change:
    return lambda table: pa.concat_tables([table, table.slice(row, 1)])


def without_frame(index: int) -> Change:
    return lambda table: table.filter(pc.not_equal(table["frame_index"], index))


def stream_dataset(
    root: Path, spans: list[tuple[float, float]], gaps: list[tuple[float, float, str, str]]
) -> Path:
    """A dataset of a live stream: a shard for each span (seconds since 2026-05-01T10:00Z), each of
    one failed frame; the gaps (begin, end, kind, reason) lie in the first."""
    job, origin = Job(inputs=("rtsp://camera/1",), output=str(root)), 1_777_629_600_000_000
    spec = FakeSegmenter().spec
    store, source = (
        Store(root, job.store, spec.classes),
        SourceInfo("camera-1-0123456789", "stream", "rtsp://camera/1"),
    )
    root.mkdir()
    store.prepare(make_manifest(job, spec, "float32"))
    write_source_metadata(root, SourceMetadata(source))
    for i, (begin, end) in enumerate(spans):
        with store.writer(
            Shard(f"{source.source_id}-{i:08d}", source, 1, (FileStamp("1", -1, -1),))
        ) as writer:
            ref = FrameRef(
                f"{source.source_id}:{i:08d}",
                source.source_id,
                source.uri,
                i,
                begin,
                origin + int(begin * 1e6),
            )
            writer.add(FrameFailure(ref, "the decoder gave <b>nothing</b>", transient=True))
            writer.begin_us, writer.end_us = (origin + int(t * 1e6) for t in (begin, end))
            writer.gaps = [
                {
                    "source_id": source.source_id,
                    "kind": kind,
                    "start_time": origin + int(a * 1e6),
                    "stop": origin + int(b * 1e6),
                    "duration_s": b - a,
                    "start_pts_s": a,
                    "stop_pts_s": b,
                    "frames_dropped": None,
                    "attempts": 3,
                    "reason": reason,
                }
                for a, b, kind, reason in (gaps if i == 0 else [])
            ]
    return root
