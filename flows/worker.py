"""The worker of the nightly run: it runs `segment_footage` of this folder, and nothing else.

    python -m flows.worker [--pool segpipe]

A worker of Prefect runs what a deployment on the server says: pull steps, which may be commands of
a shell, and any file as the flow. This one takes the parameters of a run from the server, and its
code from here. A deployment that says otherwise is refused, and its run ends as crashed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from pathlib import Path
from typing import Any

os.environ.setdefault("DO_NOT_TRACK", "1")

from prefect import Flow
from prefect.runner._flow_run_executor import FlowRunExecutorContext
from prefect.runner._starter_engine import EngineCommandStarter
from prefect.utilities.processutils import setup_signal_handlers_worker
from prefect.workers.process import ProcessJobConfiguration, ProcessWorker, ProcessWorkerResult

ROOT = Path(__file__).absolute().parent.parent
ENTRYPOINT = "flows/segment.py:segment_footage"
_OWN_FOLDER = {
    "prefect.deployments.steps.set_working_directory": {"directory": str(ROOT)},
}
"""The pull step that `prefect deploy` adds by itself: it says where this worker is anyway."""


class RunRefused(Exception):
    """The deployment asks for something else than the flow of this folder."""


def refuse_others(deployment: Any, flow_run: Any, command: bool) -> None:
    """Raises RunRefused for a deployment or a run that says what is to be executed, or where.
    `command`: the work pool or the run has a command."""
    steps = [s for s in deployment.pull_steps or [] if s != _OWN_FOLDER]
    said = {
        f"the entrypoint {deployment.entrypoint!r}": deployment.entrypoint != ENTRYPOINT,
        "pull steps": bool(steps),
        "a storage block": getattr(deployment, "storage_document_id", None) is not None,
        f"the folder {deployment.path!r}": deployment.path not in {None, ".", str(ROOT)},
        "job variables": bool(deployment.job_variables or flow_run.job_variables),
        "a command": command,
    }
    wrong = [what for what, there in said.items() if there]
    if wrong:
        raise RunRefused(
            f"the deployment {deployment.name!r} has {' and '.join(wrong)}; this worker runs "
            f"{ENTRYPOINT} of {ROOT} with a job as its parameter, and nothing else: deploy it from "
            "there with prefect deploy --name nightly"
        )


async def _own_flow(_run: Any) -> Flow[..., Any]:
    """The flow whose hooks are run: never that of the deployment."""
    from flows.segment import segment_footage

    return segment_footage


class SegmentWorker(ProcessWorker):
    """A process worker whose code is that of this folder."""

    @classmethod
    def __dispatch_key__(cls) -> str:
        return "segpipe"  # pools are of the type `process`; Prefect's own worker stays registered

    async def run(
        self, flow_run: Any, configuration: ProcessJobConfiguration, task_status: Any = None
    ) -> ProcessWorkerResult:
        """Run a flow run as a process. Raises RunRefused."""
        if flow_run.deployment_id is None:
            raise RunRefused("the run has no deployment; this worker runs the nightly deployment")
        deployment = await self.client.read_deployment(flow_run.deployment_id)
        refuse_others(deployment, flow_run, configuration._command_configured)
        # Nothing of `configuration` is used: the server could change it after this check.
        async with FlowRunExecutorContext() as context:
            starter = EngineCommandStarter(
                entrypoint=str(ROOT / ENTRYPOINT),
                cwd=ROOT,
                control_channel=context.control_channel,
            )
            executor = context.create_executor(
                flow_run, starter, resolve_flow=_own_flow, propose_submitting=False
            )
            done = await executor.submit(task_status=_Started(task_status))
        if done is None or done.status_code is None:
            raise RuntimeError("the run's process couldn't be started")
        return ProcessWorkerResult(status_code=done.status_code, identifier=str(done.handle.pid))


class _Started:
    """Tells the worker the number of a process once it runs."""

    def __init__(self, status: Any) -> None:
        self._status = status

    def started(self, handle: Any = None) -> None:
        """The process runs."""
        if self._status is not None:
            self._status.started(handle.pid)


def main() -> int:
    """Take runs until the worker is stopped."""
    parser = argparse.ArgumentParser(prog="python -m flows.worker", description="Take runs.")
    parser.add_argument("--pool", default="segpipe", help="the work pool (default segpipe)")
    args = parser.parse_args()
    if not os.environ.get("PREFECT_API_URL"):
        print("segpipe: PREFECT_API_URL isn't set: the address of the server", file=sys.stderr)
        return 2
    setup_signal_handlers_worker(os.getpid(), "the segpipe worker", print)
    os.chdir(ROOT)
    worker = SegmentWorker(work_pool_name=args.pool)
    try:
        asyncio.run(worker.start())
    except (KeyboardInterrupt, asyncio.CancelledError):
        print("stopped", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
