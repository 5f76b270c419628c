"""A whole job without an orchestrator: plan, reconcile with the dataset, run each shard, report."""

from __future__ import annotations

import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from segpipe import isolation, models, stopping
from segpipe.config import Job, ModelSettings, WorkerSettings
from segpipe.errors import ConfigError, DatasetBusy, DatasetError, DiskFull, ReaderFailed, Stopped, is_no_room, one_line
from segpipe.live.run import notes_on, notes_on_plans, plan_streams, run_streams, streams_of
from segpipe.pipeline import OnFrames, run_shard
from segpipe.reading import plan_in_child
from segpipe.run_report import Prepared, RunReport, report_of, report_of_streams
from segpipe.secrets import is_url, redact
from segpipe.sources import discover, plan, shards_of_video
from segpipe.store import Store, exclusive, make_manifest
from segpipe.store.places import AnyPath, make_folder, path_of, reach
from segpipe.store.resume import Known, Pending, reconcile
from segpipe.survey import check, survey
from segpipe.telemetry.drives import describe_drives
from segpipe.telemetry.locate import Locator
from segpipe.text import printable_text
from segpipe.worker import SegmentationWorker

log = logging.getLogger(__name__)


def load_worker(model: ModelSettings, sizes: WorkerSettings | None = None) -> SegmentationWorker:
    """A model on its device. Raises ModelError or ConfigError."""
    return SegmentationWorker(models.load(model.source, model.allow_untrained), model, sizes)


@contextmanager
def prepared(job: Job, worker: SegmentationWorker | None = None) -> Iterator[Prepared]:
    """Find the footage, load the model, open the dataset, and hold it for this run alone.

    Raises SourceError, ModelError or DatasetError before anything is written.
    """
    streams = streams_of(job)
    if streams:
        with opened(job, worker) as (worker, store):
            plans = plan_streams(job, streams, store)
            yield Prepared(job, worker, store, Pending((), 0, 0), (*notes_on(job), *notes_on_plans(plans)), plans)
        return
    root = output_folder(job)
    reach(root)
    footage = discover(job.inputs)
    for path in [*footage.videos, *footage.images]:
        if path == root or root in path.parents:
            raise ConfigError(f"{job.output}: the output folder holds the input {path}; write the dataset somewhere else")
    check(job, footage)
    with opened(job, worker) as (worker, store):
        known = Known(store)
        facts = survey(job, footage, root)

        def locate(source_id: str) -> Locator:
            return Locator(facts.get(source_id))

        righted = known.put_right(store, locate)
        in_child = job.read.isolate and isolation.POSSIBLE
        planned = plan(job, footage, known.video_shards, locate, plan_in_child(job.read) if in_child else shards_of_video)
        notes = [printable_text(f"{Path(f.info.uri).name}: {note}") for f in facts.values() for note in f.notes]
        if righted:
            notes.append(f"times and positions of {righted} rows were put right: their clock or track has changed")
        pending = reconcile(store, known, planned, job.retry_failed)
        yield Prepared(job, worker, store, pending, (*notes, *describe_drives(list(facts.values()))))


@contextmanager
def opened(job: Job, worker: SegmentationWorker | None = None) -> Iterator[tuple[SegmentationWorker, Store]]:
    """Load the model, make or check the dataset, and hold it for this run alone. Raises ModelError or DatasetError."""
    root = output_folder(job)
    reach(root)
    worker = worker or load_worker(job.model, job.worker)
    stopping.check()
    worker.shrunk_from = 0  # a run says what happened in it
    spec = worker.segmenter.spec
    store, manifest = Store(root, job.store, spec.classes), make_manifest(job, spec, worker.precision)
    store.check(manifest, job.replace)
    try:
        make_folder(root)
    except OSError as error:
        raise DatasetError(f"{root}: the folder can't be made ({error.strerror}); choose another") from None
    with exclusive(root):
        store.prepare(manifest, job.replace)
        yield worker, store


def output_folder(job: Job) -> AnyPath:
    """Where the dataset lies: an absolute path, or a place on an object store. Raises ConfigError."""
    return path_of(job.output)


def run_job(job: Job, on_start: Callable[[Prepared], OnFrames | None] | None = None) -> RunReport:
    """Run a job here and now. A shard that raises is named in the report, and the others are done.

    Raises Stopped where the run was asked to end (`stopping`), and DiskFull where nothing more can be written: what was committed
    stays in either case, and the next run goes on from there. Streams that were asked to end are no error: the report says so.
    """
    stopping.begin()
    with room_to_write(job), prepared(job) as ready:
        on_frames = on_start(ready) if on_start else None
        began = time.perf_counter()
        if ready.streams:
            recorded = run_streams(ready.streams, job, ready.worker, ready.store, stopping.STOP.is_set, on_frames)
            return report_of_streams(ready, recorded, time.perf_counter() - began)
        reports, broken = [], {}
        for shard in ready.pending.todo:
            try:
                reports.append(run_shard(shard, job, ready.worker, ready.store, on_frames))
            except Exception as error:
                if isinstance(error, (DatasetBusy, ReaderFailed, Stopped)) or is_no_room(error):
                    raise
                log.debug("shard %s failed", shard.name, exc_info=True)
                broken[shard.name] = one_line(error)
        return report_of(ready, reports, broken, time.perf_counter() - began)


@contextmanager
def room_to_write(job: Job) -> Iterator[None]:
    """Turns the many ways in which a full disk shows into DiskFull."""
    try:
        yield
    except Exception as error:
        if isinstance(error, DiskFull) or not is_no_room(error):
            raise
        log.debug("the disk is full", exc_info=True)
        where = redact(job.output) + (f" (by way of {tempfile.gettempdir()})" if is_url(job.output) else "")
        raise DiskFull(
            f"{where}: there is no room left to write on; what was committed is whole and stays: "
            "make room, and run the same command again to go on"
        ) from None
