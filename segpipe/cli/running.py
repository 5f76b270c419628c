"""Commands that compute: run, bench, models, sample."""

from __future__ import annotations

import json
import signal
from argparse import Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from segpipe.cli.outputs import check_sample_folder
from segpipe.cli.progress import Progress
from segpipe.core.config.job import Job, apply_sets, make_job, put, read_yaml
from segpipe.core.errors import (
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_SOME_FAILED,
    ConfigError,
    FramesFailed,
    SegpipeError,
    Stopped,
)
from segpipe.runtime import stopping

if TYPE_CHECKING:
    from segpipe.pipeline.reports import Prepared
    from segpipe.pipeline.shard import OnFrames


def job_from(args: Namespace, **given: Any) -> Job:
    """The job out of config file, `--set` and arguments; the later wins."""
    content = read_yaml(args.config) if args.config else {}
    content = apply_sets(content, args.set)
    for key, value in given.items():
        if value or value == "":  # an empty variable of a shell is a mistake, not a default
            put(content, key, value)
    for key, remedy in (
        ("inputs", "name what to segment, or set inputs in the config"),
        ("output", "give -o OUT"),
    ):
        if not content.get(key):
            raise ConfigError(f"no {key}: {remedy}")
    return make_job(content, args.config or "the job")


def run(args: Namespace) -> int:
    """`segpipe run`."""
    job = job_from(
        args,
        inputs=tuple(args.inputs),
        output=args.output,
        replace=args.replace,
        retry_failed=args.retry_failed,
        **{
            "track.files": args.track,
            "time.start": args.start,
            "time.timezone": args.timezone,
            "worker.max_memory": args.max_memory,
            "stream.duration": args.duration,
            "stream.until": args.until,
        },
    )
    from segpipe.analysis.report.summary import all_failed_text, describe_run
    from segpipe.core.text import one_line_text
    from segpipe.pipeline.run import run_job
    from segpipe.runtime.files.paths import as_shown

    bar = _Progress(args.quiet > 0)
    try:
        with stopping.listening() as signals:
            report = run_job(job, bar.start)
    finally:
        bar.close()
    for line in describe_run(report, bar.names):
        print(one_line_text(line))
    output = as_shown(job.output)
    print(f"dataset: {output}")
    if (report.failed or report.failed_before) and not report.all_failed:
        print(f"what failed, and what to do: segpipe errors {output}")
    if report.broken:
        return SegpipeError.exit_code
    if report.stopped:
        return EXIT_INTERRUPTED if signal.SIGINT in signals else Stopped.exit_code
    if report.all_failed:
        raise FramesFailed(all_failed_text(report, output))
    return EXIT_SOME_FAILED if report.failed else EXIT_OK


class _Progress:
    """How far a run is: frames, frames/s, time left, failures."""

    def __init__(self, quiet: bool) -> None:
        self.quiet = quiet
        self.names: list[str] = []
        self.bar: Progress | None = None

    def start(self, ready: Prepared) -> OnFrames:
        self.names = [c.name for c in ready.store.classes]
        total, done = ready.frames_to_do, ready.frames_done
        if total or ready.streams:  # nobody knows how many frames a stream will have
            known = total + done if total else None
            self.bar = Progress("run", "frame", known, done, self.quiet)
        return self.step

    def step(self, frames: int, failed: int) -> None:
        if self.bar is not None:
            self.bar.update(frames, failed)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()


def models(args: Namespace) -> int:
    """`segpipe models`."""
    from segpipe.inference.models import LOADERS, builtin_names

    for loader in LOADERS:
        print(f"{loader.example:26} {loader.what}")
    print(f"\nembedded: {', '.join(f'builtin:{n}' for n in builtin_names())}")
    try:
        from torchvision import models as library

        print(f"torchvision: {', '.join(library.list_models(module=library.segmentation))}")
    except ImportError:
        print("torchvision: not installed")
    return EXIT_OK


def sample(args: Namespace) -> int:
    """`segpipe sample`."""
    if not 0.1 <= args.seconds <= 35:
        raise ConfigError(f"--seconds {args.seconds}: the sample street is 0.1 to 35 seconds long")
    from segpipe.training.sample import DriveSettings, render_drive

    check_sample_folder(args.folder, args.force, args.images)
    settings = DriveSettings(seconds=args.seconds, images=args.images)
    with Progress("rendering", "frame", settings.frame_count, quiet=args.quiet > 0) as bar:
        files = render_drive(Path(args.folder), settings, bar.update)
    print(f"video:  {files.video}\nlabels: {files.labels}\ntrack:  {files.track}")
    return EXIT_OK


def bench(args: Namespace) -> int:
    """`segpipe bench`."""
    if args.frames < 1 or args.rounds < 1:
        raise ConfigError(f"--frames {args.frames} --rounds {args.rounds}: both must be at least 1")
    job = job_from(args, inputs=(args.input,), output="bench")
    from segpipe.pipeline.bench import measure
    from segpipe.pipeline.bench_report import as_text

    found = measure(job, args.frames, args.rounds)
    print(json.dumps(found.as_dict(), indent=2) if args.json else as_text(found))
    return EXIT_OK
