"""What of a dataset a page shows: class shares, gaps, stills. A file that can't be read is left
out; `verify` names it."""

from __future__ import annotations

import logging
import os
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cache

import pyarrow as pa
import pyarrow.compute as pc

from segpipe.analysis.report.still import overlay_data_uri
from segpipe.core.errors import SegpipeError
from segpipe.sources import source_of
from segpipe.store.dataset import Dataset
from segpipe.store.reading import read_table
from segpipe.store.records import ShardRecord, read_record
from segpipe.store.schema import WHOLE_FRAME

log = logging.getLogger(__name__)
MOST_STILLS = 6
_UNREADABLE = (SegpipeError, OSError, pa.ArrowException, KeyError, ValueError)


@dataclass(frozen=True, slots=True)
class Share:
    """A class's mean share of the picture over all frames that have valid pixels, and its colour as
    CSS knows it."""

    name: str
    colour: str
    share: float


@dataclass(frozen=True, slots=True)
class Gap:
    """A time without frames of a stream."""

    source_id: str
    kind: str
    start_time: datetime
    stop: datetime
    duration_s: float
    attempts: int
    reason: str


@dataclass(frozen=True, slots=True)
class Still:
    """A frame with its mask, as a data URI, and where it is from."""

    picture: str
    shard: str
    uri: str


def class_shares_of(dataset: Dataset) -> list[Share]:
    """The mean share of each class that was seen, the largest first. Each frame counts the same,
    whatever its resolution."""
    sums: defaultdict[int, float] = defaultdict(float)
    for table in _tables(dataset, "class_stats", ["region", "class_id", "pixel_fraction"]):
        whole = (
            table.filter(pc.equal(table["region"], WHOLE_FRAME))
            .group_by("class_id")
            .aggregate([("pixel_fraction", "sum")])
        )
        for class_id, share in zip(
            whole["class_id"].to_pylist(), whole["pixel_fraction_sum"].to_pylist(), strict=True
        ):
            sums[class_id] += share
    frames = sum(sums.values())  # the shares of a frame add up to one
    found = [
        Share(
            c.name,
            "#" + "".join(f"{min(255, max(0, int(v))):02x}" for v in c.colour),
            sums[c.id] / frames,
        )
        for c in dataset.classes
        if sums[c.id]
    ]
    return sorted(found, key=lambda s: -s.share)


def gaps_of(dataset: Dataset) -> list[Gap]:
    """The gaps of all streams, in order of time."""
    names = ["source_id", "kind", "start_time", "stop", "duration_s", "attempts", "reason"]
    rows = [Gap(**row) for table in _tables(dataset, "gaps", names) for row in table.to_pylist()]
    return sorted(rows, key=lambda g: (g.source_id, g.start_time))


def _tables(dataset: Dataset, table: str, columns: list[str]) -> Iterator[pa.Table]:
    for path in dataset.files(table):
        try:
            yield read_table(path, columns)
        except _UNREADABLE:
            continue


def stills_of(dataset: Dataset) -> tuple[list[Still], list[str], list[str]]:
    """Up to MOST_STILLS stills, of as many sources as there are; where the footage was seen of
    sources that have none, for it isn't there any more; and of those whose footage isn't opened,
    for nothing but the dataset says that it is footage."""
    found: list[Still] = []
    records = _records(dataset)
    open_ = [r for r in records if dataset.may_open(r)]
    opened = {r.source.source_id for r in open_}
    closed = {r.source.source_id: r.source.uri for r in records if r.source.source_id not in opened}
    there, gone = _by_footage(open_)
    for record in _in_turn(there):
        try:
            found.append(
                Still(overlay_data_uri(dataset, record.name), record.name, record.source.uri)
            )
        except Exception:  # footage that has gone or is damaged, masks that are: a picture less
            log.debug("%s: no still", record.name, exc_info=True)
        if len(found) == MOST_STILLS:
            break
    return found, gone, sorted(closed.values())


def _by_footage(records: list[ShardRecord]) -> tuple[list[ShardRecord], list[str]]:
    """The shards whose first file is there or was changed, and where sources of no such shard
    were."""
    is_there = cache(lambda uri: os.path.exists(uri))
    there = [r for r in records if is_there(r.files[0].uri or r.source.uri)]
    shown = {r.source.source_id for r in there}
    gone = {r.source.source_id: r.source.uri for r in records if r.source.source_id not in shown}
    return there, sorted(gone.values())


def _records(dataset: Dataset) -> list[ShardRecord]:
    """The shards that have something to show."""
    found = []
    for path in dataset.files("frames"):
        try:
            record = read_record(path)
        except SegpipeError:
            continue
        if record.frames > record.failed and source_of(record.source.kind).replayable:
            found.append(record)
    return dataset.located(found)


def _in_turn(records: list[ShardRecord], tries: int = 4 * MOST_STILLS) -> list[ShardRecord]:
    """One shard of each source, then a second one of each, and so on; so many that a few may
    fail."""
    turns: Counter[str] = Counter()
    ordered = []
    for record in sorted(records, key=lambda r: (r.start, r.name)):
        ordered.append((turns[record.source.source_id], record))
        turns[record.source.source_id] += 1
    return [r for _, r in sorted(ordered, key=lambda pair: (pair[0], pair[1].source.source_id))][
        :tries
    ]
