"""Rows that are missing and whose footage isn't on the disk: failed rows stand for them, so that they are accounted for and can
be told of; the next run that finds the footage does them again."""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from segpipe.config import Sampling, StoreSettings
from segpipe.errors import DatasetError
from segpipe.frames import FileStamp, FrameFailure, Shard
from segpipe.sources import refs_of, unreadable_shard
from segpipe.sources.identity import stamp
from segpipe.sources.images import image_shards
from segpipe.store import Store
from segpipe.store.dataset import Dataset
from segpipe.store.places import listed
from segpipe.store.records import ShardRecord, read_record
from segpipe.store.relocate import restate
from segpipe.store.sources import FOLDER, read_facts
from segpipe.telemetry.facts import SourceFacts
from segpipe.telemetry.locate import Locator
from segpipe.text import printable_text

WHY = "it had no row when the dataset was repaired, and wasn't on the disk"


def account_for_away(dataset: Dataset) -> tuple[str, ...]:
    """Write failed rows for what has no row and isn't on the disk; the paths, as text. The dataset must be held."""
    sampled = StoreSettings(frames_per_shard=dataset.manifest["frames_per_shard"])
    store, records = Store(dataset.root, sampled, dataset.classes), _records(dataset)
    told: list[str] = []
    for path in listed(dataset.root / FOLDER, ".parquet"):
        try:
            facts = read_facts(dataset.root, path.stem)
        except DatasetError:  # found and told of by the verification
            continue
        if facts is None or path.stem != facts.info.source_id:
            continue
        if facts.info.kind == "images":
            told += _photos(store, facts, records[path.stem])
        elif facts.info.kind == "video":
            told += _video(store, facts, records[path.stem])
    return tuple(told)


def _records(dataset: Dataset) -> dict[str, list[ShardRecord]]:
    """The records that can be read, by source."""
    found: dict[str, list[ShardRecord]] = defaultdict(list)
    for path in dataset.files("frames"):
        try:
            record = read_record(path)
        except DatasetError:
            continue
        found[record.source.source_id].append(record)
    return found


def _photos(store: Store, facts: SourceFacts, records: list[ShardRecord]) -> list[str]:
    folder, done = Path(facts.info.uri), {f.name for r in records for f in r.files}
    try:
        there = {printable_text(n) for n in os.listdir(folder)}
    except OSError:
        there = set()
    gone = tuple(FileStamp(p.name, p.size_bytes, p.mtime_ns) for p in facts.photos if p.name not in done | there)
    _write(store, facts, image_shards(facts.info, gone, store.settings.frames_per_shard))
    return [str(folder / f.name) for f in gone]


def _video(store: Store, facts: SourceFacts, records: list[ShardRecord]) -> list[str]:
    """One failed row stands for all that is missing of a video; its other shards say that there is no more of it."""
    path = Path(facts.info.uri)
    whole = {(len(records), r.expected) for r in records} == {(r.siblings, r.expected) for r in records}
    agree = len({r.expected for r in records}) == 1
    if stamp(path).size_bytes >= 0 or (whole and agree):
        return []
    lost = unreadable_shard(facts.info, path, WHY, "lost", transient=True)
    others = [r for r in records if r.name != lost.name]
    lost = replace(lost, siblings=len(others) + 1, expected=sum(r.frames for r in others if r.stop))
    for record in others:
        restate(store, record, lost)
    _write(store, facts, [lost])
    return [facts.info.uri]


def _write(store: Store, facts: SourceFacts, shards: list[Shard]) -> None:
    locator = Locator(facts)
    for shard in shards:
        with store.writer(shard, facts.digest(), facts.ego_digest()) as writer:
            for ref, _ in refs_of(shard, Sampling(), locator=locator):
                writer.add(FrameFailure(ref, WHY, transient=True))
