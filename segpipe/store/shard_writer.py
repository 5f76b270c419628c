"""One shard's three files: written aside, and there together when the shard is whole."""

from __future__ import annotations

import contextlib
import os
from types import TracebackType
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from segpipe.frames import FrameFailure, Shard
from segpipe.results import FrameResult, Verdict
from segpipe.store.files import aside, publish
from segpipe.store.geo import KEY as GEO_KEY
from segpipe.store.geo import Bounds, geo_metadata
from segpipe.store.lock import check_held
from segpipe.store.records import SHARD_KEY, ShardRecord, record_text
from segpipe.store.rows import RowBuffer
from segpipe.store.schema import COMMIT_ORDER, GAPS, SCHEMA_VERSION, TABLES
from segpipe.text import printable_text

if TYPE_CHECKING:
    from segpipe.store.writer import Store

ROWS_AT_ONCE = 64
"""Frames in memory before they are written as a row group: the memory of a run doesn't grow with the shard."""
BYTES_AT_ONCE = 64 * 2**20
"""The same in bytes of masks: noise in a large picture makes a run of every pixel."""
_DICTIONARY = ["source_id", "region", "class_name", "status", "error", "uri", "timestamp_source", "position_source"]
NO_VERDICT = Verdict(None, True)


class ShardWriter:
    """Writes one shard's three files aside and renames them, `frames` last."""

    def __init__(self, store: Store, shard: Shard, facts: str = "", ego: str = "") -> None:
        self.store, self.shard, self.facts, self.ego = store, shard, facts, ego
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
        check_held(self.store.root)  # before the work, too: what can't be committed needn't be computed
        for table in TABLES:
            schema = TABLES[table].with_metadata({"segpipe.schema_version": str(SCHEMA_VERSION)})
            self._writers[table] = pq.ParquetWriter(
                aside(self.store.path(table, self.shard.name)), schema, compression="zstd",
                compression_level=self.store.settings.compression_level,
                use_dictionary=[c for c in schema.names if c in _DICTIONARY],
            )  # fmt: skip

    def add(self, item: FrameResult | FrameFailure, verdict: Verdict = NO_VERDICT) -> None:
        """Add a frame's rows."""
        if isinstance(item, FrameFailure):
            self.failed += 1
            self.transient += item.transient
            if self.shard.source.kind == "images":
                name = printable_text(item.ref.uri.rpartition(os.sep)[2])
                self.failed_files.append(name)
                self.transient_files += [name] if item.transient else []
            self.buffer.add_failure(item)
        else:
            self.buffer.add(item, verdict)
        self.frames += 1
        if len(self.buffer) >= ROWS_AT_ONCE or self.buffer.mask_bytes >= BYTES_AT_ONCE:
            self._flush()

    def copy(self, table: str, rows: pa.Table) -> None:
        """Add rows of a table as they are; that their places are right is for the next run to look at."""
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

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
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
            self.shard.name, self.shard.source, self.shard.files, self.frames, self.failed, failed_files=tuple(self.failed_files),
            facts=self.facts, places=self.buffer.places.text() if not self.copied else "", transient=self.transient,
            transient_files=tuple(self.transient_files), begin_us=self.begin_us, end_us=self.end_us, replaces=self.replaces,
            ego=self.ego,
        )  # fmt: skip
        metadata = {SHARD_KEY: record_text(self.shard, record), GEO_KEY: geo_metadata(self.bounds)}
        self._writers["frames"].add_key_value_metadata(metadata)
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
            schema = GAPS.with_metadata({"segpipe.schema_version": str(SCHEMA_VERSION)})
            pq.write_table(
                pa.Table.from_pylist(self.gaps, schema), aside(self.store.path("gaps", self.shard.name)), compression="zstd"
            )

    def _drop(self) -> None:
        for writer in self._writers.values():
            with contextlib.suppress(Exception):  # on a full disk closing fails too, and the file has to go all the more
                writer.close()
        for table in COMMIT_ORDER:
            aside(self.store.path(table, self.shard.name)).unlink(missing_ok=True)
