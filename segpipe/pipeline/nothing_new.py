"""A run that finds nothing new: known by what earlier runs noted, without the model."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

from segpipe.core.config.job import Job
from segpipe.pipeline.facts_key import facts_key
from segpipe.pipeline.footage import FoundFootage, note_addresses, note_roots_of
from segpipe.pipeline.probe.notes import notes_on_footage
from segpipe.pipeline.probe.streams import with_parts
from segpipe.pipeline.reports import Prepared
from segpipe.pipeline.retries import MOST_ATTEMPTS
from segpipe.runtime.files.listing import FileState
from segpipe.runtime.files.paths import AnyPath
from segpipe.sources import FoundSource, source_of
from segpipe.store import Store, exclusive
from segpipe.store.accepted import is_accepted
from segpipe.store.address_file import address_state, load_addresses, write_addresses
from segpipe.store.addresses import Addresses
from segpipe.store.finished import finished_sources, remember_finished
from segpipe.store.forget import finish
from segpipe.store.manifest import read_manifest
from segpipe.store.records import ShardRecord
from segpipe.telemetry.candidates import track_files


@dataclass(frozen=True, slots=True)
class AllDone:
    """How many frames the dataset holds of the footage, and how many of them failed."""

    frames: int
    failed: int


def all_done(
    job: Job, root: AnyPath, settings: str, found: FoundFootage, records: list[ShardRecord]
) -> AllDone | None:
    """What the dataset holds of footage of which all was done before, by the same job; None where
    that isn't sure. `settings` is the digest of what decides the dataset's manifest."""
    if job.replace or job.retry_failed or not is_accepted(root, settings):
        return None
    files = (*found.footage.files, *(copy for copy, _ in found.footage.copies))
    if any(f.how != "known" for f in files):
        return None
    finished = finished_sources(root, _job_digest(job))
    by_source = _by_source(records)
    frames = failed = 0
    for source in with_parts(job, found.footage, root).sources:
        source_id = source.info.source_id
        if not by_source[source_id] or finished.get(source_id) != _key(job, source):
            return None
        done = _counts(source, by_source[source_id])
        frames, failed = frames + done.frames, failed + done.failed
    return AllDone(frames, failed)


def addresses_as_now(
    root: AnyPath, state: list[FileState], records: list[ShardRecord], addresses: Addresses
) -> Addresses:
    """The addresses that were read while the file had a `state`; read again if another run has
    written it since."""
    same = address_state(root) == state and all(s.mark for s in state)
    return addresses if same else load_addresses(root, records)


def nothing_to_do(
    job: Job,
    root: AnyPath,
    found: FoundFootage,
    done: AllDone,
    addresses_now: Callable[[], Addresses],
) -> Prepared:
    """All was done before: only that the footage was seen is noted."""
    manifest = read_manifest(root)
    assert manifest is not None, "its settings were accepted"  # noqa: S101 - for mypy
    store = Store(root, job.store, manifest.classes)
    with exclusive(root):
        finish(root)
        store.remove_unfinished()
        addresses = addresses_now()
        note_addresses(addresses, found.footage)
        write_addresses(root, addresses)
    note_roots_of(job, root, found.footage)
    return Prepared(
        job,
        None,
        store,
        (),
        frames_done=done.frames,
        failed_before=done.failed,
        notes=(*found.notes, *notes_on_footage(job, found.footage)),
    )


def note_all_done(ready: Prepared, records: list[ShardRecord]) -> None:
    """Note, after a run, that nothing is left to do; not where something is missing, or will be
    tried again: a frame, or what is found out of a source."""
    by_source = _by_source(records)
    keys = {}
    for source in ready.footage.sources:
        source_id = source.info.source_id
        own = by_source[source_id]
        key = ready.facts_keys.get(source_id, "")
        if own and all(r.frames == r.failed and not r.transient for r in own):
            key = _key(ready.job, source)  # nothing can be found out of it either
        again = any(r.transient and r.attempt + 1 < MOST_ATTEMPTS for r in own)
        if not key or again or not _is_whole(source, own):
            return
        keys[source_id] = key
    remember_finished(ready.store.root, _job_digest(ready.job), keys)


def _is_whole(source: FoundSource, records: list[ShardRecord]) -> bool:
    """Whether the dataset has a row for each wanted frame of a source. A drive may have been away
    for a moment, so that its rows stayed and nothing was done."""
    if source_of(source.info.kind).files_are_frames:
        return {f.name for f in source.files} <= {f.name for r in records for f in r.files}
    agree = len({r.expected for r in records}) == 1
    return agree and all(r.siblings == len(records) for r in records)


def _by_source(records: list[ShardRecord]) -> dict[str, list[ShardRecord]]:
    found: dict[str, list[ShardRecord]] = defaultdict(list)
    for record in records:
        found[record.source.source_id].append(record)
    return found


def _counts(source: FoundSource, records: list[ShardRecord]) -> AllDone:
    if not source_of(source.info.kind).files_are_frames:
        return AllDone(sum(r.frames for r in records), sum(r.failed for r in records))
    here = {f.name for f in source.files}
    failed = sum(len(here.intersection(r.failed_files)) for r in records)
    return AllDone(len(here), failed)


def _key(job: Job, source: FoundSource) -> str:
    tracks = track_files(source.path, job.track, job.follow_links)
    return facts_key(job, source, tracks)


def _job_digest(job: Job) -> str:
    """Of all settings; where the inputs lie and how fast they are read doesn't matter."""
    where_and_how = {"inputs", "follow_links", "output", "worker", "identity", "stream"}
    content = job.model_dump_json(exclude=where_and_how | {"replace", "retry_failed"})
    return hashlib.blake2b(content.encode(), digest_size=16).hexdigest()
