"""What failed, grouped by file and reason: frames, whole sources, and times when a stream was
away."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow.compute as pc

from segpipe.pipeline.retries import MOST_ATTEMPTS
from segpipe.sources import source_of
from segpipe.sources.ids import image_frame_id
from segpipe.store.dataset import Dataset
from segpipe.store.reading import read_table
from segpipe.store.schema import PERMANENT, STATUS_ERROR, TRANSIENT

_COLUMNS = ["frame_id", "source_id", "frame_index", "pts_s", "error", "error_class"]
_GAP_COLUMNS = ["source_id", "kind", "start_pts_s", "stop_pts_s", "attempts", "reason"]
_NOT_RUNNING = "not running"
"""A gap of this kind is nobody's failure: no run was listening."""
AGAIN = "the next run tries again"
TIRED = f"failed {MOST_ATTEMPTS} times and is left now; --retry-failed tries it again"
MEND = "repair or remove the file; --retry-failed tries it again"
GAP_TODO = "this time can't be recorded again"


@dataclass(frozen=True, slots=True)
class Failure:
    """Failures of one file for one reason. `what` is frame, source (nothing of it could be read) or
    gap (of a stream). First and last are places in the packet index, or seconds of the media; None
    where they have none. `attempts` is the most that any of them took."""

    uri: str
    source_id: str
    what: str
    reason: str
    error_class: str
    count: int
    first_index: int | None
    last_index: int | None
    first_pts_s: float | None
    last_pts_s: float | None
    attempts: int
    todo: str
    stream: int | None = None
    """The number of a video stream that isn't its file's default one."""


def failures_of(dataset: Dataset, error_class: str | None = None) -> list[Failure]:
    """The failures of a dataset, by file and in order; of one class alone where that is asked
    for."""
    groups: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
    for row in [*_failed_frames(dataset), *_gaps(dataset)]:
        groups[row["uri"], row["source_id"], row["what"], row["reason"], row["error_class"]].append(
            row
        )
    found = [_failure(key, rows) for key, rows in sorted(groups.items())]
    return [f for f in found if error_class in (None, f.error_class)]


def _failure(key: tuple[str, ...], rows: list[dict[str, Any]]) -> Failure:
    uri, source_id, what, reason, error_class = key
    index = [r["first_index"] for r in rows if r["first_index"] is not None]
    pts_s = [t for r in rows for t in (r["first_pts_s"], r["last_pts_s"]) if t is not None]
    return Failure(
        uri,
        source_id,
        what,
        reason,
        error_class,
        len(rows),
        min(index, default=None),
        max(index, default=None),
        min(pts_s, default=None),
        max(pts_s, default=None),
        max(r["attempts"] for r in rows),
        GAP_TODO if what == "gap" else _todo(error_class, max(r["attempts"] for r in rows)),
        rows[0].get("stream"),
    )


def _todo(error_class: str, attempts: int) -> str:
    if error_class == TRANSIENT:
        return AGAIN if attempts < MOST_ATTEMPTS else TIRED
    return MEND


def _failed_frames(dataset: Dataset) -> Iterator[dict[str, Any]]:
    """Only files whose record says that something failed are opened. The addresses are those where
    the footage was seen last."""
    for record in dataset.records():
        if not record.failed:
            continue
        source = record.source
        by_file = source_of(source.kind).files_are_frames
        images = {image_frame_id(source.source_id, f.name): f.uri for f in record.files if by_file}
        path = dataset.root / "frames" / f"{record.name}.parquet"
        table = read_table(path, [*_COLUMNS, "status"])
        for row in table.filter(pc.equal(table["status"], STATUS_ERROR)).to_pylist():
            whole = not by_file and row["frame_index"] is None and row["pts_s"] is None
            yield {
                "uri": images.get(row["frame_id"], source.uri),
                "source_id": row["source_id"],
                "what": "source" if whole else "frame",
                "reason": row["error"] or "",
                "error_class": row["error_class"] or PERMANENT,
                "first_index": row["frame_index"],
                "first_pts_s": row["pts_s"],
                "last_pts_s": row["pts_s"],
                "attempts": record.attempt + 1,
                "stream": source.stream,
            }


def _gaps(dataset: Dataset) -> Iterator[dict[str, Any]]:
    files = dataset.files("gaps")
    uris = {r.source.source_id: r.source.uri for r in dataset.records()} if files else {}
    for path in files:
        for row in read_table(path, _GAP_COLUMNS).to_pylist():
            if row["kind"] == _NOT_RUNNING:
                continue
            said = f"{row['kind']}: {row['reason']}" if row["reason"] else row["kind"]
            yield {
                "uri": uris.get(row["source_id"], row["source_id"]),
                "source_id": row["source_id"],
                "what": "gap",
                "reason": said,
                "error_class": TRANSIENT,
                "first_index": None,
                "first_pts_s": row["start_pts_s"],
                "last_pts_s": row["stop_pts_s"],
                "attempts": row["attempts"],
            }
