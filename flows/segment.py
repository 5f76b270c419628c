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
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, cast
from uuid import UUID

# Read by Prefect when it is imported. An ephemeral server takes up to half a minute to start on a
# busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# Pages of other sites get no answer from it either.
os.environ.setdefault("PREFECT_SERVER_CORS_ALLOWED_ORIGINS", "http://127.0.0.1")
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
from prefect.exceptions import MissingContextError
from prefect.futures import PrefectFuture
from prefect.runtime import task_run
from prefect.task_runners import TaskRunner, ThreadPoolTaskRunner

from segpipe.analysis.report.still import overlay_data_uri
from segpipe.analysis.report.summary import NOTE, all_failed_text, broken_lines, describe_run
from segpipe.analysis.report.tables import summary_rows, verify_rows
from segpipe.core.config.job import (
    Job,
    ModelSettings,
    WorkerSettings,
    apply_sets,
    make_job,
    read_yaml,
)
from segpipe.core.errors import (
    EXIT_SOME_FAILED,
    DatasetError,
    DatasetIncomplete,
    FramesFailed,
    SegpipeError,
    Stopped,
    ends_the_run,
    one_line,
)
from segpipe.core.redact import redact
from segpipe.core.text import counted, one_line_text
from segpipe.core.types import Shard
from segpipe.inference.worker import SegmentationWorker
from segpipe.pipeline.live.plan import StreamPlan, refuse_secrets, without_secrets
from segpipe.pipeline.output import output_folder
from segpipe.pipeline.prepare import load_worker, prepared
from segpipe.pipeline.reports import Prepared, RunReport, Task
from segpipe.pipeline.run import Report, Submit, do, room_to_write, run
from segpipe.pipeline.settings import FrameSettings
from segpipe.pipeline.shard import ShardReport, run_shard
from segpipe.runtime import stopping
from segpipe.runtime.files.paths import as_shown
from segpipe.runtime.log_forwarding import forwarding
from segpipe.sources.shards import shard_label
from segpipe.store import Store, open_dataset
from segpipe.store.accepted import settings_digest
from segpipe.verify import VerifyReport, verify

PROGRESS_EVERY_S = 5.0
_loading = threading.Lock()
RunLogger = logging.Logger | logging.LoggerAdapter[Any]


class ShardsFailed(SegpipeError):
    """Shards that failed after their retries; the others are in the dataset."""


@lru_cache(maxsize=2)
def _worker(model: ModelSettings, sizes: WorkerSettings, _settings: str) -> SegmentationWorker:
    return load_worker(model, sizes)


def worker_for(job: Job) -> SegmentationWorker:
    """The job's model, loaded once in a process, and again when its files have changed."""
    with _loading:
        return _worker(job.model, job.worker, settings_digest(job))


def worth_another_try(_task: Any, _run: Any, state: State[Any]) -> bool:
    """A run that was asked to end, a full disk, and a lock that was lost are not to be waited
    for."""
    error = state.result(raise_on_failure=False)
    return not (isinstance(error, BaseException) and ends_the_run(error))


def _shard_name() -> str:
    """What Prefect's pages call the task."""
    return shard_label(task_run.parameters["shard"])


@task(
    name="segment-shard",
    task_run_name=_shard_name,
    retries=2,
    retry_delay_seconds=[2, 20],
    persist_result=False,
    retry_condition_fn=worth_another_try,
)
def segment_shard(
    shard: Shard, job: Job, artifact: UUID | None, share_before: float, share: float
) -> ShardReport:
    """Segment one shard. `share_before` and `share` place it in the progress of the whole run (0 to
    100)."""
    worker = worker_for(job)
    store = Store(output_folder(job), job.store, worker.segmenter.spec.classes)
    done, told = 0, time.monotonic()

    def on_frames(frames: int, failed: int) -> None:
        nonlocal done, told
        done += frames
        if artifact and time.monotonic() - told > PROGRESS_EVERY_S:
            told = time.monotonic()
            update_progress_artifact(
                artifact, min(100.0, share_before + share * done / max(1, shard.frame_count))
            )

    report = run_shard(shard, FrameSettings.of(job), worker, store, on_frames)
    if artifact:
        update_progress_artifact(artifact, min(100.0, share_before + share))
    return report


ONE_AT_A_TIME: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=1)
"""A shard's own lanes use the whole machine."""


@flow(name="segment-footage", task_runner=ONE_AT_A_TIME, persist_result=False)
def segment_footage(job: Job) -> RunReport:
    """Segment what is new in the job's inputs into its dataset.

    Raises ShardsFailed, with the shards named, when some failed after their retries; the others are
    done. Raises FramesFailed when every frame of this run failed, DatasetIncomplete when rows are
    missing, duplicated or wrong at the end. Some frames that can't be read don't fail the run: they
    are rows in `frames` with their error. What segpipe logs is in the run's log.
    """
    logger = get_run_logger()
    refuse_secrets(job)
    with forwarding(lambda: _logger_here(logger)):
        return _segment(job, logger)


def _logger_here(of_the_flow: RunLogger) -> RunLogger:
    """The logger of the task that this thread runs, else the flow's: segpipe's own threads know of
    no run."""
    try:
        return get_run_logger()
    except MissingContextError:
        return of_the_flow


def _segment(job: Job, logger: RunLogger) -> RunReport:
    with stopping.ending(), room_to_write(job), prepared(job, load=worker_for) as ready:
        names = [c.name for c in ready.store.classes]
        logger.info(
            "%d frames in %d shards to do, %d done before",
            ready.frames_to_do,
            len(ready.todo) - len(ready.streams),
            ready.frames_done,
        )
        with _executor(ready) as submit:
            report = run(ready, submit)
        parts = counted(len(ready.todo), "stream" if ready.streams else "shard")
    failed = broken_lines(report)
    for line in describe_run(report, names):
        other = logging.WARNING if line.startswith(NOTE) else logging.INFO
        logger.log(logging.ERROR if line in failed else other, "%s", one_line_text(line))
    found = verify_dataset(job)
    try:
        _publish(job, report, names)
    except Exception as error:  # noqa: BLE001 - a picture that failed must not hide failed shards
        logger.warning("the artifacts couldn't be published: %s", one_line(error))
    _check(job, report, parts, found)
    return report


def _check(job: Job, report: RunReport, parts: str, found: VerifyReport) -> None:
    """Raises where shards or all frames failed, or rows are missing, duplicated or wrong, with
    what."""
    if report.broken:
        said = "; ".join(f"{n} ({w})" for n, w in report.broken.items())
        raise ShardsFailed(
            one_line_text(
                f"{len(report.broken)} of {parts} failed: {said}. The dataset: {found.summary()}"
            )
        )
    if found.wrong:
        raise DatasetIncomplete(
            f"{as_shown(job.output)}: {found.summary()}. segpipe verify lists all; --repair "
            "takes out damage"
        )
    if report.all_failed and not report.stopped:
        raise FramesFailed(all_failed_text(report, as_shown(job.output)))


@task(
    name="verify-dataset",
    task_run_name="verify-dataset",
    persist_result=False,
    cache_policy=NO_CACHE,
)
def verify_dataset(job: Job) -> VerifyReport:
    """Check that nothing is missing, duplicated or wrong, against what the plan expected; the
    footage isn't read again."""
    report = verify(output_folder(job))
    try:
        create_table_artifact(
            verify_rows(report),
            key="segpipe-verify",
            description="Sources with their expected, done, failed and missing frames, and what "
            "is wrong",
        )
    except Exception as error:  # noqa: BLE001 - what was found counts, and is raised
        get_run_logger().warning("the artifact couldn't be published: %s", one_line(error))
    return report


@task(
    name="segment-stream", task_run_name="{plan.name}", persist_result=False, cache_policy=NO_CACHE
)
def segment_stream(plan: StreamPlan, ready: Prepared) -> Report:
    """Record one stream."""
    return do(plan, ready)


@dataclass(frozen=True)
class _Submitted:
    """A task of Prefect's as the run's loop takes it."""

    future: PrefectFuture[Any]

    def result(self) -> Report:
        self.future.wait()
        return cast("Report", self.future.result())


@contextmanager
def _executor(ready: Prepared) -> Iterator[Submit]:
    """Each shard a task of the flow's own runner; streams all at once, for none of them ends so
    that the next may begin."""
    if ready.streams:
        at_once: TaskRunner[Any] = ThreadPoolTaskRunner(max_workers=len(ready.todo))
        with at_once as runner:
            yield lambda plan: _Submitted(
                runner.submit(segment_stream, {"plan": plan, "ready": ready})
            )
        return
    progress = _Progress(ready)

    def submit(task: Task) -> _Submitted:
        shard = cast("Shard", task)
        place = progress.place(shard)
        return _Submitted(segment_shard.submit(shard, ready.job, progress.artifact, *place))

    yield submit


class _Progress:
    """The artifact that shows how far a run is, and each shard's part of it."""

    def __init__(self, ready: Prepared) -> None:
        self.total, self.before = ready.frames_to_do, 0.0
        self.artifact: UUID | None = None
        if ready.todo:
            made = create_progress_artifact(
                0.0,
                key="segpipe-progress",
                description=(
                    f"{counted(self.total, 'frame')} in {counted(len(ready.todo), 'shard')}"
                ),
            )
            self.artifact = made if isinstance(made, UUID) else None

    def place(self, shard: Shard) -> tuple[float, float]:
        """Where the next shard's part begins, and how much it is (0 to 100)."""
        before, share = self.before, 100.0 * shard.frame_count / max(1, self.total)
        self.before += share
        return before, share


def _publish(job: Job, report: RunReport, names: list[str]) -> None:
    """The summary table, and an overlay of a frame of this run."""
    rows = summary_rows(report, names)
    create_table_artifact(
        rows,
        key="segpipe-summary",
        description=one_line_text(f"segment-footage into {as_shown(job.output)}"),
    )
    done = [s for s in report.shards if s.totals.frames > s.totals.failed]
    if done:  # of files: a stream's pictures aren't kept
        dataset = open_dataset(job.output)
        try:
            picture = overlay_data_uri(dataset, done[len(done) // 2].name)
        except DatasetError as error:  # a card that was taken out meanwhile
            get_run_logger().info("no overlay: %s", one_line(error))
            return
        create_image_artifact(
            picture,
            key="segpipe-overlay",
            description=f"a frame of {done[len(done) // 2].source_id}",
        )


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
        print(f"segpipe: {one_line_text(redact(str(error)))}", file=sys.stderr)
        return error.exit_code
    for line in describe_run(report, [c.name for c in open_dataset(job.output).classes]):
        print(one_line_text(line))
    if report.stopped:
        return Stopped.exit_code
    return EXIT_SOME_FAILED if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
