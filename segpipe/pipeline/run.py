"""The one loop of a run: submit what is left to do, collect the reports, stop where it must."""

from __future__ import annotations

import functools
import logging
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from segpipe.core.config.job import Job
from segpipe.core.errors import DiskFull, ends_the_run, is_no_room, one_line
from segpipe.core.redact import is_url, redact
from segpipe.core.types import Shard
from segpipe.pipeline.live.counts import StreamReport
from segpipe.pipeline.nothing_new import note_all_done
from segpipe.pipeline.prepare import prepared
from segpipe.pipeline.reports import Prepared, RunReport, Task, report_of
from segpipe.pipeline.settings import FrameSettings
from segpipe.pipeline.shard import OnFrames, ShardReport, run_shard
from segpipe.runtime import stopping
from segpipe.sources.shards import shard_label

log = logging.getLogger(__name__)
Report = ShardReport | StreamReport


class Submitted(Protocol):
    """A task that was handed to an executor."""

    def result(self) -> Report:
        """Wait for its report. Raises what the task raised."""


Submit = Callable[[Task], Submitted]
"""Hands one task to an executor: threads here, Prefect's tasks in `flows`."""


def run(ready: Prepared, submit: Submit) -> RunReport:
    """Do all that is left to do. A shard or a stream that raises is named in the report, and the
    others are done; an error after which nothing more can be written ends the run and is raised.
    """
    began = time.perf_counter()
    reports: list[Report] = []
    broken: dict[str, str] = {}
    try:
        submitted = [(task, submit(task)) for task in ready.todo]
        for task, work in submitted:
            try:
                reports.append(work.result())
            except Exception as error:
                if ends_the_run(error):
                    raise
                log.debug("%s failed", task.name, exc_info=True)
                broken[task.name] = _why(task, error)
    except BaseException:
        # A second Ctrl-C, too: streams must not go on without anybody.
        ready.ending.set()
        raise
    ready.store.update_index()
    if ready.worker and not (broken or ready.streams or stopping.STOP.is_set()):
        note_all_done(ready, ready.store.records())
    return report_of(ready, reports, broken, time.perf_counter() - began)


def do(task: Task, ready: Prepared, on_frames: OnFrames | None = None) -> Report:
    """Do one task in this thread. Where it ends the run, streams in other threads end too. A stream
    that failed is told at once: the others may go on for days before the report."""
    try:
        assert ready.worker is not None, "a run with tasks has a model"  # noqa: S101 - for mypy
        if isinstance(task, Shard):
            settings = FrameSettings.of(ready.job)
            return run_shard(task, settings, ready.worker, ready.store, on_frames)
        return task.record(ready.worker, ready.store, ready.is_over, on_frames)
    except BaseException as error:
        if ends_the_run(error):
            ready.ending.set()
        elif not isinstance(task, Shard):
            log.error("%s failed and is recorded no more: %s", task.name, one_line(error))
        raise


def _why(task: Task, error: Exception) -> str:
    """What a task failed of; of a shard also whose it is."""
    said = one_line(error)
    return f"{shard_label(task)}: {said}" if isinstance(task, Shard) else said


@dataclass(frozen=True)
class _Later:
    """A task that is done when its report is asked for."""

    work: Callable[[], Report]

    def result(self) -> Report:
        return self.work()


@contextmanager
def executor(ready: Prepared, on_frames: OnFrames | None = None) -> Iterator[Submit]:
    """Tasks done in this process: shards one after the other, for a shard's own lanes use the whole
    machine; streams all at once, for none of them ends so that the next may begin."""
    if not ready.streams:
        yield lambda task: _Later(functools.partial(do, task, ready, on_frames))
        return
    with ThreadPoolExecutor(len(ready.todo), "segpipe-stream") as pool:
        yield lambda task: pool.submit(do, task, ready, on_frames)


def run_job(job: Job, on_start: Callable[[Prepared], OnFrames | None] | None = None) -> RunReport:
    """Run a job here and now.

    Raises Stopped where the run was asked to end (`stopping`), and DiskFull where nothing more can
    be written: what was committed stays in either case, and the next run goes on from there.
    Streams that were asked to end are no error: the report says so.
    """
    stopping.begin()
    with room_to_write(job), prepared(job) as ready:
        on_frames = on_start(ready) if on_start else None
        with executor(ready, on_frames) as submit:
            return run(ready, submit)


@contextmanager
def room_to_write(job: Job) -> Iterator[None]:
    """Turns the many ways in which a full disk shows into DiskFull."""
    try:
        yield
    except Exception as error:
        if isinstance(error, DiskFull) or not is_no_room(error):
            raise
        log.debug("the disk is full", exc_info=True)
        where = redact(job.output) + (
            f" (by way of {tempfile.gettempdir()})" if is_url(job.output) else ""
        )
        raise DiskFull(
            f"{where}: there is no room left to write on; what was committed is whole and stays: "
            "make room, and run the same command again to go on"
        ) from None
