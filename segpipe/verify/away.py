"""Rows that are missing and whose footage isn't on the disk: failed rows stand for them, so that
they are accounted for and can be told of; the next run that finds the footage does them again."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from segpipe.core.config.job import Sampling, StoreSettings
from segpipe.core.errors import DatasetError
from segpipe.core.types import FileStamp, FrameFailure, Shard
from segpipe.runtime.files.paths import list_dir
from segpipe.sources import refs_of, source_of, unreadable_shard
from segpipe.sources.identity import what_changed
from segpipe.sources.places import stamp
from segpipe.sources.shards import shards_of_files
from segpipe.store import Store
from segpipe.store.address_file import load_addresses
from segpipe.store.addresses import Addresses
from segpipe.store.dataset import Dataset
from segpipe.store.records import ShardRecord, read_record
from segpipe.store.refresh import refresh_plan
from segpipe.store.sources import FOLDER, read_source_metadata
from segpipe.telemetry.locate import Locator
from segpipe.telemetry.metadata import SourceMetadata

WHY = "it had no row when the dataset was repaired, and wasn't on the disk"


def account_for_away(dataset: Dataset) -> tuple[str, ...]:
    """Write failed rows for what has no row and isn't on the disk; the paths, as text. The dataset
    must be held."""
    sampled = StoreSettings(frames_per_shard=dataset.manifest.frames_per_shard)
    store, readable = Store(dataset.root, sampled, dataset.classes), readable_records(dataset)
    addresses = load_addresses(dataset.root, readable)
    records: dict[str, list[ShardRecord]] = defaultdict(list)
    for record in readable:
        records[record.source.source_id].append(record)
    told: list[str] = []
    for path in list_dir(dataset.root / FOLDER, ".parquet"):
        try:
            facts = read_source_metadata(dataset.root, path.stem)
        except DatasetError:  # found and told of by the verification
            continue
        if facts is None or path.stem != facts.info.source_id:
            continue
        kind = source_of(facts.info.kind)
        if kind.replayable:
            account = _files if kind.files_are_frames else _film
            told += account(store, facts, records[path.stem], addresses)
    return tuple(told)


def readable_records(dataset: Dataset) -> list[ShardRecord]:
    """The records of shards, as far as they can be read."""
    found = []
    for path in dataset.files("frames"):
        with suppress(DatasetError):
            found.append(read_record(path))
    return found


def _files(
    store: Store, facts: SourceMetadata, records: list[ShardRecord], addresses: Addresses
) -> list[str]:
    done = {f.name for r in records for f in r.files}
    missing = [p for p in facts.photos if p.key not in done]
    gone = []
    for photo in missing:
        uri = addresses.latest(photo.key) or str(Path(facts.info.uri) / photo.name)
        stamp_ = FileStamp(photo.key, photo.size_bytes, photo.mtime_ns, uri)
        gone += [stamp_] if what_changed(stamp_, photo.key) else []
    shards = shards_of_files(facts.info, tuple(gone), store.settings.frames_per_shard)
    _write(store, facts, shards)
    return [f.uri for f in gone]


def _film(
    store: Store, facts: SourceMetadata, records: list[ShardRecord], addresses: Addresses
) -> list[str]:
    """One failed row stands for all that is missing of a video; its other shards say that there is
    no more of it."""
    uri = addresses.latest(facts.info.file_id) or facts.info.uri
    now = stamp(Path(uri))
    whole = {(len(records), r.expected) for r in records} == {
        (r.siblings, r.expected) for r in records
    }
    agree = len({r.expected for r in records}) == 1
    if now.size_bytes >= 0 or (whole and agree):
        return []
    lost = unreadable_shard(facts.info, now, WHY, "lost", transient=True)
    others = [r for r in records if r.name != lost.name]
    lost = replace(lost, siblings=len(others) + 1, expected=sum(r.frames for r in others if r.stop))
    for record in others:
        refresh_plan(store, record, lost)
    _write(store, facts, [lost])
    return [uri]


def _write(store: Store, facts: SourceMetadata, shards: list[Shard]) -> None:
    locator = Locator(facts)
    for shard in shards:
        with store.writer(shard, facts.digest(), facts.ego_digest()) as writer:
            for ref, _ in refs_of(shard, Sampling(), locator=locator):
                writer.add(FrameFailure(ref, WHY, transient=True))
