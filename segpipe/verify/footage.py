"""The dataset against the footage itself: the packet index of each video read again, where that is
there and unchanged."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from segpipe.core.errors import SourceError
from segpipe.core.text import counted, printable_text
from segpipe.core.types import Shard
from segpipe.runtime import isolation
from segpipe.runtime.files.paths import AnyPath
from segpipe.sources import FoundSource, PlannedFilm, planned_film, source_of
from segpipe.sources.decoding import PLAIN
from segpipe.sources.identity import what_changed
from segpipe.sources.places import path_at
from segpipe.sources.walking import not_read_in
from segpipe.store.address import key_of
from segpipe.store.dataset import Dataset
from segpipe.store.footage_roots import outside
from segpipe.store.reading import parquet_file, read_groups
from segpipe.store.records import ShardRecord
from segpipe.store.sources import read_source_metadata
from segpipe.telemetry.locate import Locator
from segpipe.telemetry.read import sidecars
from segpipe.telemetry.track import Float64
from segpipe.verify.findings import MISSING, NOTE, WRONG_ROWS, Finding
from segpipe.verify.frames import ints

_CLOSE_S = 1e-9


def compare_footage(
    dataset: Dataset,
    records: list[ShardRecord],
    files: dict[str, AnyPath],
    on_sources: Callable[[int], None] = lambda _: None,
) -> list[Finding]:
    """What the footage that is there says otherwise; `records` tell where it was seen last. Footage
    that has gone or changed is a note: the next run sees to it. `on_sources` is told how many
    sources are compared."""
    found: list[Finding] = []
    by_source: dict[str, list[ShardRecord]] = defaultdict(list)
    gone: list[str] = []
    closed: list[str] = []
    for record in records:
        by_source[record.source.source_id].append(record)
    for number, (source_id, shards) in enumerate(sorted(by_source.items()), 1):
        kind = source_of(shards[0].source.kind)
        if not kind.replayable:
            found.append(Finding(NOTE, "", "", source_id, "a live stream can't be compared"))
        elif not all(dataset.may_open(r) for r in shards):
            closed.append(shards[0].source.uri)
        elif away := _away(shards):
            gone.append(away)
        elif not kind.files_are_frames:
            found += _compare_film(dataset, sorted(shards, key=lambda r: r.start), files)
        on_sources(number)
    open_ = [r for r in records if dataset.may_open(r)]
    return found + _on_gone(gone) + _on_closed(closed) + _not_read(open_)


def _on_gone(gone: list[str]) -> list[Finding]:
    """One note on the footage that isn't there any more: cards are wiped every night."""
    if not gone:
        return []
    said = (
        f"footage no longer there: {counted(len(gone), 'source')}, so not compared ({gone[0]}); "
        "--footage FOLDER looks for it elsewhere"
    )
    return [Finding(NOTE, "", "", "", said)]


def _on_closed(closed: list[str]) -> list[Finding]:
    """One note on the footage that only the dataset says to be footage."""
    if not closed:
        return []
    count = counted(len(closed), "source")
    return [Finding(NOTE, "", "", "", f"{count} not compared: {outside(closed[0])}")]


def _not_read(records: list[ShardRecord]) -> list[Finding]:
    """What lies beside the footage, in the same folders, and isn't read: one note for each
    folder."""
    sources = {Path(r.source.uri): source_of(r.source.kind) for r in records}
    tracks: dict[Path, list[Path]] = defaultdict(list)
    for path, kind in sources.items():
        # The notes on the source say so, and its folder may hold anything
        if kind.replayable and os.path.exists(path):
            tracks[path if kind.files_are_frames else path.parent] += sidecars(path)
    found = []
    for folder, used in sorted(tracks.items()):
        try:
            said = not_read_in(folder).without(used).describe()
        except OSError:  # it can't be listed
            continue
        found += [Finding(NOTE, "", printable_text(str(folder)), "", said)] if said else []
    return found


def _away(shards: list[ShardRecord]) -> str:
    """The first file of a source that has gone, or holds something else now; empty where all are as
    they were."""
    files = {f.name: (f, key_of(r.source, f)) for r in shards for f in r.files}
    said = ((f.uri, what_changed(f, key)) for f, key in files.values())
    return next((printable_text(f"{uri} {how}") for uri, how in said if how), "")


def _compare_film(
    dataset: Dataset, records: list[ShardRecord], files: dict[str, AnyPath]
) -> list[Finding]:
    info = records[0].source
    source_id, path = info.source_id, path_at(info.uri)
    locator = Locator(read_source_metadata(dataset.root, source_id))
    arguments = (
        FoundSource(info, path, records[0].files),
        dataset.manifest.sampling,
        dataset.manifest.frames_per_shard,
        PLAIN,
        locator,
    )
    try:
        # In a child process: a damaged index may crash what reads it.
        film: PlannedFilm = (
            isolation.call(planned_film, *arguments)
            if isolation.POSSIBLE
            else planned_film(*arguments)
        )
        planned = [s for s in film.shards if s.stop]
    except (SourceError, isolation.ChildLost) as error:
        ranges = [r for r in records if r.stop]
        said = f"{path} can't be read now ({error})"
        return [Finding(NOTE, "", "", source_id, said)] if ranges else []
    expected = sum(s.frame_count for s in planned)
    there = sum(r.frames for r in records if r.stop)
    found = []
    if expected != there:
        said = (
            f"{counted(there, 'row')}, and its packet index has {counted(expected, 'wanted frame')}"
        )
        found.append(Finding(MISSING if there < expected else WRONG_ROWS, "", "", source_id, said))
    names = {s.name: s for s in planned}
    for record in (r for r in records if r.stop and r.name in files):
        said = _compare_shard(files[record.name], names.get(record.name), film.times_s)
        found += [Finding(WRONG_ROWS, "frames", record.name, source_id, said, True)] if said else []
    return found


def _compare_shard(path: AnyPath, planned: Shard | None, times_s: Float64 | None) -> str:
    """What is wrong with a shard's rows by the packet index; empty where nothing is."""
    if planned is None or times_s is None:
        return "its packet index would be cut into other shards"
    with parquet_file(path) as file:
        table = read_groups(file, None, ["frame_index", "pts_s"])
    if table.num_rows != planned.frame_count:
        wanted = counted(planned.frame_count, "wanted frame")
        return f"{counted(table.num_rows, 'row')}, and the packet index has {wanted} there"
    index = ints(table["frame_index"].combine_chunks())
    if len(index) and (index.min() < 0 or index.max() >= len(times_s)):
        return "a frame_index is beyond the packet index"
    wanted_s = times_s[index]
    other = int(
        (
            np.abs(table["pts_s"].to_numpy() - wanted_s)
            > _CLOSE_S * np.maximum(1.0, np.abs(wanted_s))
        ).sum()
    )
    return f"{counted(other, 'row')} with another pts_s than the packet index" if other else ""
