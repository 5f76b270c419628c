"""The arguments of the commands that compute: run, bench, sample, models, schema."""

from __future__ import annotations

import argparse

from segpipe.cli.outputs import add_force, path_name

Commands = argparse._SubParsersAction  # argparse has no public name for it


def add_run(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the command that segments."""
    run = commands.add_parser(
        "run",
        help="segment footage into a dataset",
        description=(
            "Segment images, videos or live streams into a Parquet dataset. A second run adds "
            "only what is new or changed."
        ),
    )
    run.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="image files, folders, video files, globs; or streams: URLs, /dev/video0",
    )
    run.add_argument(
        "-o", "--output", metavar="OUT", help="the dataset: a folder, or a URL such as s3://…"
    )
    add_config(run)
    _add_time_and_place(run)
    run.add_argument(
        "--replace",
        action="store_true",
        help="delete a dataset that was made with other settings, and start over",
    )
    run.add_argument(
        "--retry-failed", action="store_true", help="run shards with failed frames again"
    )
    run.add_argument(
        "--max-memory", metavar="SIZE", help="bounds the queues between the stages, such as 500MB"
    )


def add_config(command: argparse.ArgumentParser) -> None:
    """Add the flags that name a job and change its keys."""
    command.add_argument(
        "-c", "--config", metavar="FILE", help="a YAML job, such as configs/dashcam.yaml"
    )
    command.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="overrides the config, such as sampling.every_n=5",
    )


def _add_time_and_place(run: argparse.ArgumentParser) -> None:
    run.add_argument(
        "--track",
        action="append",
        default=[],
        metavar="FILE",
        help="GPX, NMEA or CSV of the drive; overrides track.files",
    )
    run.add_argument(
        "--start",
        metavar="TIME",
        help="when the video begins (one video only), such as 2026-05-01T10:00:00Z",
    )
    run.add_argument(
        "--timezone",
        metavar="ZONE",
        help="time zone for clocks that don't state one, such as Europe/London",
    )
    run.add_argument(
        "--duration",
        metavar="TIME",
        help="how long to record streams, such as 90s, 30m, 8h; without: until stopped",
    )
    run.add_argument(
        "--until",
        metavar="TIME",
        help="when to stop recording streams, such as 2026-05-01T18:00:00Z",
    )


def add_tools(commands: Commands[argparse.ArgumentParser]) -> None:
    """Add the commands around a run."""
    _add_sample(commands)
    commands.add_parser(
        "models",
        help="list the models that can be loaded",
        description="List the kinds of models that segpipe loads, with a URI of each.",
    )
    schema = commands.add_parser(
        "schema",
        help="print the JSON schema of a config, for editors",
        description=(
            "Print the JSON schema of a config file: every key with its meaning, type, limits "
            "and default. Editors complete and check YAML with it."
        ),
    )
    schema.add_argument(
        "kind",
        choices=("job", "training"),
        help="job: what segpipe run -c reads; training: what segpipe train -c reads",
    )
    _add_bench(commands)


def _add_sample(commands: Commands[argparse.ArgumentParser]) -> None:
    sample = commands.add_parser(
        "sample",
        help="render the sample drive: video, true labels, GPX track",
        description=(
            "Render the sample drive into a new folder: a video of a street, its true label maps "
            "and a GPX track."
        ),
    )
    sample.add_argument("folder", type=path_name, metavar="DIR", help="the new folder")
    add_force(sample)
    sample.add_argument(
        "--seconds",
        type=float,
        default=20.0,
        metavar="S",
        help="length of the drive, 0.1 to 35 (default 20)",
    )
    sample.add_argument(
        "--images",
        action="store_true",
        help="also write each frame as a JPEG into images/, to train on",
    )


def _add_bench(commands: Commands[argparse.ArgumentParser]) -> None:
    bench = commands.add_parser(
        "bench",
        help="measure each stage alone and the whole pipeline",
        description=(
            "Measure decoding, the model and writing alone, then the whole pipeline and its "
            "share of what the slowest stage allows."
        ),
    )
    bench.add_argument("input", metavar="INPUT", help="a video or a folder")
    add_config(bench)
    bench.add_argument(
        "--frames",
        type=int,
        default=120,
        metavar="N",
        help="the most frames to measure (default 120)",
    )
    bench.add_argument(
        "--rounds",
        type=int,
        default=3,
        metavar="N",
        help="how often to measure; the medians count (default 3)",
    )
    bench.add_argument("--json", action="store_true", help="print JSON")
