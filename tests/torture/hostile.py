"""Runs segpipe over mutations one by one, and tells what became of each."""

from __future__ import annotations

import threading
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from segpipe.core.config.job import Job, make_job
from segpipe.core.errors import SegpipeError
from segpipe.pipeline.prepare import load_worker
from segpipe.pipeline.run import run_job
from tests.clock import HANG_S
from tests.torture.corpus import Mutation

LIMIT_S = 10.0


@dataclass(frozen=True)
class Outcome:
    """Rows that a run over one mutation wrote, or why it was refused before anything was read."""

    ok: int = 0
    failed: int = 0
    refused: str = ""


@dataclass
class Survival:
    """By the mutations' names. A crash is what isn't a SegpipeError, a shard that raised, or a run
    that said nothing at all."""

    tried: int = 0
    crashes: dict[str, str] = field(default_factory=dict)
    hangs: dict[str, float] = field(default_factory=dict)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def slowest_s(self) -> float:
        return max(self.seconds.values(), default=0.0)


def survive(folder: Path, mutations: list[Mutation]) -> Survival:
    """segpipe's whole path over each mutation alone, each into a dataset of its own below
    `folder`."""
    found = Survival()
    worker = load_worker(_job(folder, folder / "none").model)
    with patch("segpipe.pipeline.prepare.load_worker", lambda *_: worker):
        for number, mutation in enumerate(mutations):
            began = time.process_time()
            thread = threading.Thread(
                target=_run, args=(mutation, folder / str(number), found), daemon=True
            )
            thread.start()
            thread.join(HANG_S)
            found.tried += 1
            found.seconds[mutation.name] = time.process_time() - began
            if thread.is_alive():  # it is left behind: a thread can't be stopped from outside
                found.hangs[mutation.name] = found.seconds[mutation.name]
    return found


def _run(mutation: Mutation, output: Path, found: Survival) -> None:
    try:
        report = run_job(_job(mutation.path, output))
    except SegpipeError as error:
        found.outcomes[mutation.name] = Outcome(refused=str(error))
    except BaseException:  # noqa: BLE001 - whatever it is, it is what this test looks for
        found.crashes[mutation.name] = traceback.format_exc()
    else:
        outcome = Outcome(report.frames - report.failed, report.failed)
        found.outcomes[mutation.name] = outcome
        if report.broken:
            found.crashes[mutation.name] = "; ".join(report.broken.values())
        elif outcome == Outcome():
            found.crashes[mutation.name] = (
                "no row and no error: the file was passed over in silence"
            )


def _job(path: Path, output: Path) -> Job:
    return make_job({"inputs": [str(path)], "output": str(output), "model": {"source": "fake:"}})
