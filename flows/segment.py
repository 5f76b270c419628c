"""The flow `segment_footage`: one task for each shard, progress and results as Prefect artifacts.

    python flows/segment.py configs/demo.yaml [--set KEY=VALUE]

Pixels never cross a task's boundary: a task gets a shard's description and returns a small report.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import threading
import time
from functools import lru_cache
from typing import Any
from uuid import UUID

# Read by Prefect when it is imported. An ephemeral server takes up to half a minute to start on a busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")

from prefect import flow, get_run_logger, task
from prefect.artifacts import (
    create_image_artifact,
    create_progress_artifact,
    create_table_artifact,
    update_progress_artifact,
)
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.futures import PrefectFuture
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from segpipe import stopping
from segpipe.config import Job, ModelSettings, WorkerSettings, apply_sets, make_job, read_yaml
from segpipe.errors import (
    EXIT_SOME_FAILED,
    DatasetBusy,
    DatasetIncomplete,
    ReaderFailed,
    SegpipeError,
    Stopped,
    is_no_room,
    one_line,
)
from segpipe.frames import Shard
from segpipe.live.counts import StreamReport
from segpipe.live.run import record_stream, refuse_secrets, without_secrets
from segpipe.pipeline import ShardReport, run_shard
from segpipe.report.still import overlay_data_uri
from segpipe.report.summary import NOTE, describe_run
from segpipe.report.tables import summary_rows, verify_rows
from segpipe.run import load_worker, output_folder, prepared, room_to_write
from segpipe.run_report import Prepared, RunReport, frames_in, report_of, report_of_streams
from segpipe.secrets import redact
from segpipe.store import Store, open_dataset
from segpipe.store.places import as_shown
from segpipe.verify import VerifyReport, verify
from segpipe.worker import SegmentationWorker

PROGRESS_EVERY_S = 5.0
_loading = threading.Lock()


class ShardsFailed(SegpipeError):
    """Shards that failed after their retries; the others are in the dataset."""


@lru_cache(maxsize=2)
def _worker(model: ModelSettings, sizes: WorkerSettings) -> SegmentationWorker:
    return load_worker(model, sizes)


def worker_for(job: Job) -> SegmentationWorker:
    """The job's model, loaded once in a process."""
    with _loading:
        return _worker(job.model, job.worker)


def worth_another_try(_task: Any, _run: Any, state: State[Any]) -> bool:
    """A run that was asked to end, a full disk, and a lock that was lost are not to be waited for."""
    error = state.result(raise_on_failure=False)
    return not _ends_the_run(error)


def _ends_the_run(error: object) -> bool:
    return isinstance(error, (DatasetBusy, ReaderFailed, Stopped)) or (isinstance(error, BaseException) and is_no_room(error))


@task(
    name="segment-shard", task_run_name="{shard.name}", retries=2, retry_delay_seconds=[2, 20], persist_result=False,
    retry_condition_fn=worth_another_try,
)  # fmt: skip
def segment_shard(shard: Shard, job: Job, artifact: UUID | None, share_before: float, share: float) -> ShardReport:
    """Segment one shard. `share_before` and `share` place it in the progress of the whole run (0 to 100)."""
    worker = worker_for(job)
    store = Store(output_folder(job), job.store, worker.segmenter.spec.classes)
    done, told = 0, time.monotonic()

    def on_frames(frames: int, failed: int) -> None:
        nonlocal done, told
        done += frames
        if artifact and time.monotonic() - told > PROGRESS_EVERY_S:
            told = time.monotonic()
            update_progress_artifact(artifact, min(100.0, share_before + share * done / max(1, shard.frame_count)))

    report = run_shard(shard, job, worker, store, on_frames)
    if artifact:
        update_progress_artifact(artifact, min(100.0, share_before + share))
    return report


ONE_AT_A_TIME: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=1)
"""A shard's own lanes use the whole machine."""


@flow(name="segment-footage", task_runner=ONE_AT_A_TIME, persist_result=False)
def segment_footage(job: Job) -> RunReport:
    """Segment what is new in the job's inputs into its dataset.

    Raises ShardsFailed, with the shards named, when some failed after their retries; the others are done. Raises DatasetIncomplete
    when rows are missing, doubled or wrong at the end. Frames that can't be read don't fail the run: they are rows in `frames` with
    their error.
    """
    logger = get_run_logger()
    refuse_secrets(job)
    worker = worker_for(job)
    with stopping.ending(), room_to_write(job), prepared(job, worker) as ready:
        began = time.perf_counter()
        todo = ready.pending.todo
        logger.info("%d frames in %d shards to do, %d done before", frames_in(todo), len(todo), ready.pending.frames_done)
        if ready.streams:
            report = report_of_streams(ready, _record_in_tasks(ready), time.perf_counter() - began)
        else:
            report = report_of(ready, *(_run_tasks(ready) if todo else ([], {})), time.perf_counter() - began)
    for line in describe_run(report, [c.name for c in worker.segmenter.spec.classes]):
        logger.log(logging.WARNING if line.startswith(NOTE) else logging.INFO, line)
    parts = f"{len(report.streams)} streams" if report.streams else f"{len(todo)} shards"
    found = verify_dataset(job)
    try:
        _publish(job, report, worker)
    except Exception as error:  # noqa: BLE001 - the dataset is what counts; a picture that failed must not hide failed shards
        logger.warning("the artifacts couldn't be published: %s", one_line(error))
    _check(job, report, parts, found)
    return report


def _check(job: Job, report: RunReport, parts: str, found: VerifyReport) -> None:
    """Raises where shards failed or rows are missing, doubled or wrong, with what."""
    if report.broken:
        said = "; ".join(f"{n} ({w})" for n, w in report.broken.items())
        raise ShardsFailed(f"{len(report.broken)} of {parts} failed: {said}. The dataset: {found.summary()}")
    if found.wrong:
        raise DatasetIncomplete(f"{as_shown(job.output)}: {found.summary()}. segpipe verify lists all; --repair takes out damage")


@task(name="verify-dataset", task_run_name="verify-dataset", persist_result=False, cache_policy=NO_CACHE)
def verify_dataset(job: Job) -> VerifyReport:
    """Is all there, once, and right? Against what was expected when it was planned; the footage isn't read again."""
    report = verify(output_folder(job))
    try:
        create_table_artifact(verify_rows(report), key="segpipe-verify", description="is all there, once, and right?")
    except Exception as error:  # noqa: BLE001 - what was found counts, and is raised
        get_run_logger().warning("the artifact couldn't be published: %s", one_line(error))
    return report


def _run_tasks(ready: Prepared) -> tuple[list[ShardReport], dict[str, str]]:
    todo = ready.pending.todo
    total = frames_in(todo)
    made = create_progress_artifact(0.0, key="segpipe-progress", description=f"{total} frames in {len(todo)} shards")
    artifact = made if isinstance(made, UUID) else None
    futures: list[tuple[Shard, PrefectFuture[ShardReport]]] = []
    before = 0.0
    for shard in todo:
        share = 100.0 * shard.frame_count / max(1, total)
        futures.append((shard, segment_shard.submit(shard, ready.job, artifact, before, share)))
        before += share
    reports, broken = [], {}
    for shard, future in futures:
        future.wait()
        if future.state.is_completed():
            reports.append(future.result())
        else:
            error = future.state.result(raise_on_failure=False)
            if isinstance(error, BaseException) and _ends_the_run(error):
                raise error
            broken[shard.name] = redact(" ".join(str(future.state.message).split()))[:300]
    return reports, broken


@task(name="segment-stream", task_run_name="{name}", persist_result=False, cache_policy=NO_CACHE)
def segment_stream(name: str, which: int, ready: Prepared) -> StreamReport:
    """Record one stream; `which` is its place in the plan."""
    return record_stream(ready.streams[which], ready.job, ready.worker, ready.store, stopping.STOP.is_set)


def _record_in_tasks(ready: Prepared) -> list[StreamReport]:
    """All streams at once: none of them ends so that the next may begin. Raises what a task raised."""
    at_once: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=len(ready.streams))
    with at_once as runner:
        names = [plan.stream.info.source_id for plan in ready.streams]
        futures = [runner.submit(segment_stream, {"name": n, "which": i, "ready": ready}) for i, n in enumerate(names)]
        try:
            return [f.result() for f in futures]
        except BaseException:  # before the runner waits for its threads: nothing else would end them
            stopping.STOP.set()
            raise


def _publish(job: Job, report: RunReport, worker: SegmentationWorker) -> None:
    """The summary table, and an overlay of a frame of this run."""
    rows = summary_rows(report, [c.name for c in worker.segmenter.spec.classes])
    create_table_artifact(rows, key="segpipe-summary", description=f"segment-footage into {as_shown(job.output)}")
    done = [s for s in report.shards if s.frames > s.failed]
    if done and not report.streams:  # a stream's pictures aren't kept
        dataset = open_dataset(job.output)
        picture = overlay_data_uri(dataset, done[len(done) // 2].name)
        create_image_artifact(picture, key="segpipe-overlay", description=f"a frame of {done[len(done) // 2].source_id}")


def main() -> int:
    """Run the flow from a shell; returns the exit code of `segpipe run`."""
    parser = argparse.ArgumentParser(description="Run the flow segment_footage with a YAML job.")
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    try:
        job = without_secrets(make_job(apply_sets(read_yaml(args.config), args.set), args.config))
        report = segment_footage(job)
    except SegpipeError as error:
        print(f"segpipe: {error}", file=sys.stderr)
        return error.exit_code
    for line in describe_run(report, [c.name for c in open_dataset(job.output).classes]):
        print(line)
    if report.stopped:
        return Stopped.exit_code
    return EXIT_SOME_FAILED if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
