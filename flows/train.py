"""The flow `train_model`: train, measure, and show the result as Prefect artifacts.

    python flows/train.py configs/train-camvid.yaml [--set KEY=VALUE]

A run that fails is tried once more, and goes on from its last whole epoch.
"""

from __future__ import annotations

import argparse
import base64
import os
import sys
from pathlib import Path

# Read by Prefect when it is imported. An ephemeral server takes up to half a minute to start on a
# busy machine.
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "120")
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
# Pages of other sites get no answer from it either.
os.environ.setdefault("PREFECT_SERVER_CORS_ALLOWED_ORIGINS", "http://127.0.0.1")
os.environ.setdefault("DO_NOT_TRACK", "1")

from prefect import flow, get_run_logger, task
from prefect.artifacts import create_image_artifact, create_markdown_artifact

from segpipe.core.config.job import apply_sets, read_yaml
from segpipe.core.errors import SegpipeError
from segpipe.core.redact import redact
from segpipe.core.text import one_line_text
from segpipe.runtime.log_forwarding import forwarding
from segpipe.training.evaluation.shipping import Shipped, train_and_measure
from segpipe.training.evaluation.tables import as_text
from segpipe.training.settings import TrainingJob, make_training_job


@task(name="train-and-measure", retries=1, retry_delay_seconds=5, persist_result=False)
def train_and_measure_task(job: TrainingJob) -> Shipped:
    """Train and measure; a retry goes on from the last checkpoint."""
    return train_and_measure(job, progress=False)


@flow(name="train-model", persist_result=False)
def train_model(job: TrainingJob) -> float:
    """Train a model and measure it on the validation images. Returns its mean IoU (0 to 1).

    The model lies in `OUTPUT/model`; the card, the curves and the confusion matrix are artifacts of
    the run.
    """
    logger = get_run_logger()
    with forwarding(lambda: logger):
        done = train_and_measure_task(job)
    report = done.report
    logger.info(
        "%d epochs in %.1f min, mean IoU %.4f: %s",
        report.epochs,
        report.seconds / 60,
        done.evaluation.tally.mean_iou,
        report.model,
    )
    create_markdown_artifact(
        (report.model / "README.md").read_text(encoding="utf-8"),
        key="segpipe-model",
        description=str(report.model),
    )
    for key, name in (
        ("segpipe-curves", "curves.png"),
        ("segpipe-confusion", "evaluation/confusion.png"),
    ):
        picture = base64.b64encode((Path(job.output).expanduser() / name).read_bytes()).decode()
        create_image_artifact(f"data:image/png;base64,{picture}", key=key, description=job.output)
    for line in as_text(done.evaluation).splitlines():
        logger.info(line)
    return done.evaluation.tally.mean_iou


def main() -> int:
    """Run the flow from a shell; returns the exit code of `segpipe train`."""
    parser = argparse.ArgumentParser(description="Run the flow train_model with a YAML job.")
    parser.add_argument("config")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    args = parser.parse_args()
    try:
        train_model(make_training_job(apply_sets(read_yaml(args.config), args.set), args.config))
    except SegpipeError as error:
        print(f"segpipe: {one_line_text(redact(str(error)))}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
