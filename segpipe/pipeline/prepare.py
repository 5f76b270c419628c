"""A run before it begins: the footage found, the model loaded, the dataset opened, what is left to
do."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from segpipe.core.config.job import Job, ModelSettings, WorkerSettings
from segpipe.core.errors import ConfigError
from segpipe.core.text import counted
from segpipe.core.types import Shard
from segpipe.pipeline.committed import CommittedShards
from segpipe.pipeline.footage import FoundFootage, find_footage, note_addresses, note_roots_of
from segpipe.pipeline.live.plan import notes_on, notes_on_plans, plan_streams, streams_of
from segpipe.pipeline.nothing_new import addresses_as_now, all_done, nothing_to_do
from segpipe.pipeline.output import held, output_folder, store_for
from segpipe.pipeline.probe import check, known_metadata, probe
from segpipe.pipeline.probe.notes import notes_on_footage
from segpipe.pipeline.probe.streams import with_parts
from segpipe.pipeline.probe.survey import gave_up
from segpipe.pipeline.probe.told import new_notes
from segpipe.pipeline.read import plan_in_child
from segpipe.pipeline.reports import Prepared
from segpipe.pipeline.resume import reconcile
from segpipe.pipeline.take_out import take_out_replaced, take_out_unseen
from segpipe.runtime import isolation
from segpipe.runtime.files.paths import AnyPath, reach
from segpipe.sources import FoundSource, plan, shards_of
from segpipe.store import Store, index
from segpipe.store.accepted import remember_accepted, settings_digest
from segpipe.store.address_file import address_state, load_addresses, write_addresses
from segpipe.store.addresses import Addresses
from segpipe.store.closed import check_closed
from segpipe.store.manifest import read_content
from segpipe.store.records import ShardRecord
from segpipe.telemetry.locate import Locator

if TYPE_CHECKING:  # it brings torch, which a run that finds nothing new doesn't need
    from segpipe.inference.worker import SegmentationWorker


def load_worker(model: ModelSettings, sizes: WorkerSettings | None = None) -> SegmentationWorker:
    """A model on its device. Raises ModelError or ConfigError."""
    # Here, for they bring torch, which a run that finds nothing new doesn't need.
    from segpipe.inference import models
    from segpipe.inference.worker import SegmentationWorker

    return SegmentationWorker(
        models.load(model.source, model.allow_untrained, model.threshold, model.sha256),
        model,
        sizes,
    )


def worker_of(job: Job) -> SegmentationWorker:
    """The job's model on its device. Raises ModelError or ConfigError."""
    return load_worker(job.model, job.worker)


@contextmanager
def prepared(
    job: Job,
    worker: SegmentationWorker | None = None,
    load: Callable[[Job], SegmentationWorker] = worker_of,
) -> Iterator[Prepared]:
    """Find the footage, load the model, open the dataset, and hold it for this run alone. Where
    all was done before, the model isn't loaded.

    Raises SourceError, ModelError or DatasetError before anything is written.
    """
    streams = streams_of(job)
    if streams:
        with opened(job, worker or load(job)) as (worker, store):
            plans = plan_streams(job, streams, store)
            said = (*notes_on(job), *notes_on_plans(plans))
            yield Prepared(job, worker, store, plans, notes=said)
        return
    root = output_folder(job)
    reach(root)
    settings = settings_digest(job)
    records, state = _records(root), address_state(root)
    addresses = load_addresses(root, records)
    found = _found(job, root, addresses)
    done = all_done(job, root, settings, found, records)
    if done is not None:
        as_now = functools.partial(addresses_as_now, root, state, records, addresses)
        yield nothing_to_do(job, root, found, done, as_now)
        return
    worker = worker or load(job)
    store, manifest = store_for(job, worker)
    if store.is_emptied_by(manifest):
        _found(job, root, Addresses(()))  # an input that is gone is an error before, not after
    with held(job, store, manifest):
        remember_accepted(root, settings)
        known = CommittedShards(store)
        now = load_addresses(root, known.all())
        if not now.same_as(addresses):  # the dataset was emptied, or another run was faster
            found = _found(job, root, now)
        yield _prepared(job, worker, store, known, found, now)


def _records(root: AnyPath) -> list[ShardRecord]:
    """The dataset's shards; none where there is no dataset yet."""
    check_closed(root)
    return index.read_records(root) if read_content(root) is not None else []


def _found(job: Job, root: AnyPath, addresses: Addresses) -> FoundFootage:
    """The footage of a job. Raises SourceError, and ConfigError for what is in the dataset's own
    folder."""
    found = find_footage(job, addresses)
    for path in [source.path for source in found.footage.sources]:
        if path == root or root in path.parents:
            raise ConfigError(
                f"{job.output}: the output folder holds the input {path}; write the dataset "
                "somewhere else"
            )
    check(job, found.footage)
    return found


def _prepared(
    job: Job,
    worker: SegmentationWorker,
    store: Store,
    known: CommittedShards,
    found: FoundFootage,
    addresses: Addresses,
) -> Prepared:
    """What is left to do of the footage; the dataset is held."""
    root = store.root
    note_roots_of(job, root, found.footage)
    note_addresses(addresses, found.footage)
    before = take_out_unseen(store, known, known_metadata(root, addresses), addresses)
    footage = with_parts(job, found.footage, root)
    facts = probe(job, footage, root, before)
    take_out_replaced(store, known, footage, addresses)
    write_addresses(root, addresses)

    def locate(source_id: str) -> Locator:
        return Locator(facts.get(source_id))

    def known_shards(source: FoundSource) -> list[Shard] | None:
        metadata = facts.get(source.info.source_id)
        final = metadata is not None and gave_up(metadata) and not job.retry_failed
        return known.known_shards(source, final)

    refreshed = known.refresh_positions(store, locate)
    in_child = job.read.isolate and isolation.POSSIBLE
    plan_one = plan_in_child(job.read) if in_child else shards_of
    planned = plan(job, footage, known_shards, locate, plan_one)
    notes = [*found.notes, *notes_on_footage(job, footage), *new_notes(before, facts)]
    if refreshed:
        rows = counted(refreshed, "row")
        notes.append(f"times and positions of {rows} were updated: the clock or track has changed")
    pending = reconcile(store, known, planned, job.retry_failed)
    return Prepared(
        job,
        worker,
        store,
        pending.todo,
        frames_done=pending.frames_done,
        failed_before=pending.failed_before,
        notes=tuple(notes),
        footage=footage,
        facts_keys={source_id: f.key for source_id, f in facts.items()},
    )


@contextmanager
def opened(job: Job, worker: SegmentationWorker) -> Iterator[tuple[SegmentationWorker, Store]]:
    """Make or check the dataset for a model, and hold it for this run alone. Raises ModelError or
    DatasetError."""
    reach(output_folder(job))
    check_closed(output_folder(job))
    store, manifest = store_for(job, worker)
    with held(job, store, manifest):
        yield worker, store
