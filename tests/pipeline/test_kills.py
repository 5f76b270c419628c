"""Runs that are killed and run again: the short version of `make torture`."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from tests.clock import HANG_S
from tests.conftest import ROOT
from tests.torture import kills
from tests.torture.scenarios import MOVED, SCENARIOS

POINTS = 15
SHORT = (*SCENARIOS, *MOVED)


def test_killed_at_any_point_and_run_again_it_is_the_undisturbed_dataset(tmp_path: Path) -> None:
    # In a process of its own: it forks, and a process in which torch has computed must not.
    done = subprocess.run(
        [sys.executable, "-m", "tests.pipeline.test_kills", str(tmp_path), str(POINTS)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=HANG_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["different"] == []
    assert (found["points"], found["rows_lost"], found["rows_doubled"]) == (POINTS, 0, 0)
    assert found["steps"] > found["random"] > 0


def test_the_harness_notices_a_lost_row_and_a_doubled_one() -> None:
    """A proof that can't fail is none."""
    one, other = {"frames": {"a": 1, "b": 1}}, {"frames": {"a": 2}}
    assert kills._less(one, other) == 1
    assert kills._less(other, one) == 1


if __name__ == "__main__":
    found = kills.kill_points(int(sys.argv[2]), 7, Path(sys.argv[1]), scenarios=SHORT)
    print(json.dumps(asdict(found)))
