"""Runs that are killed: at every step that touches the disk, and at random moments; each is then
run again, once, and the dataset has to be the one of a run that nobody disturbed.

    python -m tests.torture.kills [--points 100] [--seed 1]

A run is a fork of this process, so that a hundred of them don't import torch a hundred times; it is
killed by SIGKILL, from inside at a counted step, or from outside after a random time. Nothing runs
in this process itself.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from segpipe.pipeline import run  # noqa: F401 - imported here, once, for all forks
from segpipe.store.table_files import READABLE
from tests.torture.scenarios import MOVED, PLACES, SCENARIOS, Scenario

STEPS = ("fsync", "replace", "rename", "unlink", "mkdir", "rmdir", "truncate")
"""Calls of `os` that change what is on the disk. A run can be killed before and after each of
them."""
ALL = SCENARIOS + MOVED + PLACES
FILES = ("write_table", "close")
"""The same of a Parquet writer."""


@dataclass
class Killed:
    """What became of all the runs that were killed."""

    points: int = 0
    steps: int = 0
    random: int = 0
    finished_first: int = 0
    different: list[str] = field(default_factory=list)
    rows_lost: int = 0
    rows_doubled: int = 0
    other_bytes: int = 0
    """Datasets with the same rows in other files: images that were done are grouped anew."""


def kill_points(
    points: int,
    seed: int,
    folder: Path,
    said: Callable[[str], None] = lambda _: None,
    scenarios: tuple[Scenario, ...] = ALL,
) -> Killed:
    """Kill runs at `points` points, spread over the scenarios, their steps and random moments."""
    chance, result = random.Random(seed), Killed()
    for number, scenario in enumerate(scenarios):
        share = points // len(scenarios) + (number < points % len(scenarios))
        place = folder / scenario.name
        trial = Trial(scenario, place)
        steps, seconds = trial.undisturbed()
        at_steps = min(steps, max(1, share * 3 // 4))
        chosen: list[tuple[int, float]] = [
            (1 + i * steps // at_steps, 0.0) for i in range(at_steps)
        ]
        chosen += [(0, chance.uniform(0.02, seconds * 1.1)) for _ in range(share - at_steps)]
        for step, after_s in chosen:
            trial.kill(step, after_s, result)
        said(f"{scenario.name}: {len(chosen)} points, {steps} steps, {seconds:.1f} s undisturbed")
    return result


class Trial:
    """One scenario: its footage, the dataset that it begins with, and the one that it has to end
    with."""

    def __init__(self, scenario: Scenario, place: Path) -> None:
        self.scenario, self.place = scenario, place
        self.begin, self.end, self.out = place / "begin", place / "end", place / "out"
        scenario.prepare(place)
        _forked(lambda: scenario.first(place, self.begin))
        scenario.change(place)

    def undisturbed(self) -> tuple[int, float]:
        """Run to the end; the number of steps, and seconds."""
        _copy(self.begin, self.out)
        counter = self.place / "steps"
        since = time.perf_counter()
        assert _forked(lambda: self._counted(counter)) == 0, "the undisturbed run failed"
        seconds = time.perf_counter() - since
        self.out.rename(self.end)
        return int(counter.read_text()), seconds

    def _counted(self, counter: Path) -> None:
        with killing_at(0) as count:
            self.scenario.second(self.place, self.out)
        counter.write_text(str(count[0]))

    def kill(self, step: int, after_s: float, result: Killed) -> None:
        """Kill a run, run again, compare."""
        _copy(self.begin, self.out)
        result.points += 1
        result.steps += bool(step)
        result.random += not step
        status = _forked(lambda: self._killed(step), after_s)
        result.finished_first += status == 0
        where = (
            f"{self.scenario.name} at step {step}"
            if step
            else f"{self.scenario.name} after {after_s:.2f} s"
        )
        if status not in {0, -signal.SIGKILL}:
            result.different.append(f"{where}: ended with {status}")
        if _forked(lambda: self.scenario.second(self.place, self.out)) != 0:
            result.different.append(f"{where}: the next run failed")
        self._compare(where, result)

    def _killed(self, step: int) -> None:
        with killing_at(step):
            self.scenario.second(self.place, self.out)

    def _compare(self, where: str, result: Killed) -> None:
        wanted, found = rows_of(self.end), rows_of(self.out)
        lost, doubled = _less(wanted, found), _less(found, wanted)
        result.rows_lost += lost
        result.rows_doubled += doubled
        left = [str(p.relative_to(self.out)) for p in self.out.rglob("*.tmp")]
        if lost or doubled or left:
            result.different.append(
                f"{where}: {lost} rows lost, {doubled} doubled or other, left over: {left}"
            )
        result.other_bytes += digests(self.end) != digests(self.out)


@contextmanager
def killing_at(step: int) -> Iterator[list[int]]:
    """Within it, this process kills itself at the given step; 0 only counts. Threads count
    together."""
    count = [0]
    before: list[tuple[Any, str, Any]] = []

    def reach() -> None:
        count[0] += 1
        if count[0] == step:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrap(owner: Any, name: str) -> None:
        original = getattr(owner, name)

        def wrapped(*arguments: Any, **named: Any) -> Any:
            reach()
            found = original(*arguments, **named)
            reach()
            return found

        before.append((owner, name, original))
        setattr(owner, name, wrapped)

    for name in STEPS:
        wrap(os, name)
    for name in FILES:
        wrap(pq.ParquetWriter, name)
    try:
        yield count
    finally:
        for owner, name, original in before:
            setattr(owner, name, original)


def _forked(work: Callable[[], object], after_s: float = 0.0) -> int:
    """Do work in a fork; its exit code, or minus the signal that killed it. After `after_s` it is
    killed."""
    process = os.fork()
    if not process:
        code = 1
        try:
            work()
            code = 0
        except BaseException:  # noqa: BLE001 - a fork must never return into its parent's code
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)
    if after_s:
        time.sleep(after_s)
        os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    return os.waitstatus_to_exitcode(status)


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    if source.exists():
        shutil.copytree(source, target)


def rows_of(root: Path) -> dict[str, dict[str, int]]:
    """The rows of each table, as text, with how often each is there."""
    found: dict[str, dict[str, int]] = {}
    for table in READABLE:
        rows = found.setdefault(table, {})
        for file in sorted((root / table).glob("*.parquet")):
            # When a file was seen is another time in each run
            columns = pq.read_table(file, partitioning=None).drop_columns(
                ["first_seen", "last_seen"] if table == "addresses" else []
            )
            for row in columns.to_pylist():
                text = repr(sorted(row.items()))
                rows[text] = rows.get(text, 0) + 1
    return found


def _less(one: dict[str, dict[str, int]], other: dict[str, dict[str, int]]) -> int:
    """How many rows the other has less."""
    return sum(
        max(0, n - other[table].get(row, 0))
        for table, rows in one.items()
        for row, n in rows.items()
    )


def digests(root: Path) -> dict[str, str]:
    """A digest of each file of the dataset's tables, but for when footage was seen."""
    folders = [p for p in root.iterdir() if p.is_dir() and p.name not in {"addresses", "index"}]
    files = [p for folder in folders for p in folder.rglob("*") if p.is_file()]
    return {
        str(p.relative_to(root)): hashlib.blake2b(p.read_bytes(), digest_size=8).hexdigest()
        for p in files
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="segpipe-kills-") as folder:
        result = kill_points(args.points, args.seed, Path(folder), print)
    print(
        f"kill points: {result.points} ({result.steps} at steps of the disk, {result.random} at "
        "random; "
        f"{result.finished_first} runs were done before)"
    )
    print(
        f"survived: {result.points - len(result.different)}; rows lost: {result.rows_lost}; "
        f"doubled or other: {result.rows_doubled}"
    )
    print(f"the same bytes in the same files: {result.points - result.other_bytes}")
    for line in result.different:
        print(f"  {line}")
    return 1 if result.different else 0


if __name__ == "__main__":
    raise SystemExit(main())
