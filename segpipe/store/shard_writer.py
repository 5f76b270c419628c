"""One shard's three files: written aside, and there together when the shard is whole."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.core.types import FrameFailure, Shard
from segpipe.inference.measures.measuring import MeasuredFrame
from segpipe.runtime.files.atomic import new_temp_file, publish, temp_path
from segpipe.sources import source_of
from segpipe.store.geo import Bounds
from segpipe.store.lock import check_held
from segpipe.store.records import ShardRecord
from segpipe.store.rows import RowBuffer
from segpipe.store.schema import COMMIT_ORDER, TABLES
from segpipe.store.shard_files import ShardFiles
from segpipe.store.table_files import ROWS_AT_ONCE, describe_frames, file_schema, table_writer

BYTES_AT_ONCE = 64 * 2**20
"""Bytes of masks in memory before they are written: noise in a large picture makes a run of every
pixel."""


class ShardWriter:
    """Writes one shard's three files aside and renames them, `frames` last."""

    def __init__(self, store: ShardFiles, shard: Shard, facts: str = "", ego: str = "") -> None:
        self.store, self.shard, self.facts, self.ego = store, shard, facts, ego
        self.files_are_frames = source_of(shard.source.kind).files_are_frames
        self.bounds, self.copied = Bounds(), False
        self.buffer = RowBuffer(store.classes)
        self.frames = self.failed = self.transient = 0
        self.failed_files: list[str] = []
        self.transient_files: list[str] = []
        self.gaps: list[dict[str, Any]] = []
        self.begin_us = self.end_us = 0
        self.replaces = ""
        self._writers: dict[str, pq.ParquetWriter] = {}

    def __enter__(self) -> ShardWriter:
        try:
            self._open()
        except BaseException:
            self._drop()
            raise
        return self

    def _open(self) -> None:
        # Before the work, too: what can't be committed needn't be computed.
        check_held(self.store.root)
        for table in TABLES:
            file = new_temp_file(self.store.path(table, self.shard.name))
            level = self.store.settings.compression_level
            self._writers[table] = table_writer(table, file, level)

    def add(self, item: MeasuredFrame | FrameFailure) -> None:
        """Add a frame's rows."""
        if isinstance(item, FrameFailure):
            self.failed += 1
            self.transient += item.transient
            if self.files_are_frames:
                key = item.ref.frame_id.partition(":")[2]
                self.failed_files.append(key)
                self.transient_files += [key] if item.transient else []
            self.buffer.add_failure(item)
        else:
            self.buffer.add(item)
        self.frames += 1
        if len(self.buffer) >= ROWS_AT_ONCE or self.buffer.mask_bytes >= BYTES_AT_ONCE:
            self._flush()

    def copy(self, table: str, rows: pa.Table) -> None:
        """Add rows of a table as they are; that their places are right is for the next run to look
        at."""
        self.copied = True
        if rows.num_rows:
            self._write(table, rows.cast(TABLES[table]))

    def _flush(self) -> None:
        for table, rows in self.buffer.tables().items():
            if rows.num_rows:
                self._write(table, rows)

    def _write(self, table: str, rows: pa.Table) -> None:
        if table == "frames":
            self.bounds.add(rows)
        self._writers[table].write_table(rows)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            try:
                self._commit()
                return
            except BaseException:
                self._drop()
                raise
        self._drop()

    def _commit(self) -> None:
        self._flush()
        record = ShardRecord(
            self.shard.name,
            self.shard.source,
            self.shard.files,
            self.frames,
            self.failed,
            failed_files=tuple(self.failed_files),
            facts=self.facts,
            places=self.buffer.places.text() if not self.copied else "",
            transient=self.transient,
            transient_files=tuple(self.transient_files),
            begin_us=self.begin_us,
            end_us=self.end_us,
            replaces=self.replaces,
            ego=self.ego,
        )
        describe_frames(self._writers["frames"], self.shard, record, self.bounds)
        for writer in self._writers.values():
            writer.close()
        self._write_gaps()
        if self.shard.attempt:  # the rows of the try before stayed until now
            self.store.discard(self.shard.name)
        for table in COMMIT_ORDER:
            if table in TABLES or self.gaps:
                check_held(self.store.root)
                publish(self.store.path(table, self.shard.name))

    def _write_gaps(self) -> None:
        if self.gaps:
            table = pa.Table.from_pylist(self.gaps, file_schema("gaps"))
            file = new_temp_file(self.store.path("gaps", self.shard.name))
            pq.write_table(table, file, compression="zstd")

    def _drop(self) -> None:
        for writer in self._writers.values():
            # On a full disk closing fails too, and the file has to go all the more
            with contextlib.suppress(Exception):
                writer.close()
        for table in COMMIT_ORDER:
            temp_path(self.store.path(table, self.shard.name)).unlink(missing_ok=True)
