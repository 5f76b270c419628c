"""All proofs that something was done to segpipe and it held: `make torture`, about half an
hour.

python -m tests.torture [--points 100] [--day SECONDS] [--outages 10]
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

from tests.torture import kills
from tests.torture.scenarios import MOVED, PLACES, SCENARIOS, Scenario


def kill(folder: Path, points: int, scenarios: tuple[Scenario, ...]) -> bool:
    """Runs that are killed and run again. First of all: it forks, and wants a process in which
    nothing has run."""
    found = kills.kill_points(points, 1, folder, scenarios=scenarios)
    print(
        f"{', '.join(s.name for s in scenarios)}\n"
        f"kill points: {found.points}   survived: {found.points - len(found.different)}   rows "
        f"lost: {found.rows_lost}   "
        f"rows doubled: {found.rows_doubled}"
    )
    for line in found.different:
        print(f"  {line}")
    return not found.different and found.points >= points


def hostile(folder: Path) -> bool:
    """Every mutation of the corpus."""
    from tests.torture.corpus import make_corpus
    from tests.torture.hostile import survive

    mutations = make_corpus(folder / "footage")
    found = survive(folder / "out", mutations)
    kinds = len({m.kind for m in mutations})
    print(
        f"mutations: {found.tried} of {kinds} kinds   crashes: {len(found.crashes)}   hangs: "
        f"{len(found.hangs)}   "
        f"slowest: {found.slowest_s:.1f} s"
    )
    for name, said in [*found.crashes.items(), *found.hangs.items()]:
        print(f"  {name}: {said}")
    return found.tried >= 300 and not found.crashes and not found.hangs


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--points", type=int, default=120)
    parser.add_argument("--day", type=int, default=86_400, help="seconds of streaming to simulate")
    parser.add_argument("--outages", type=int, default=10)
    args = parser.parse_args()
    began, held = time.perf_counter(), True
    with tempfile.TemporaryDirectory(prefix="segpipe-torture-") as folder:
        held &= kill(Path(folder) / "kills", args.points, SCENARIOS)
        held &= kill(Path(folder) / "moved", args.points, MOVED)
        held &= kill(Path(folder) / "places", args.points // 4, PLACES)
        held &= hostile(Path(folder) / "hostile")
    from tests.torture import day, outages

    logging.getLogger("segpipe").setLevel(logging.ERROR)  # each outage would be told
    for module, argument in ((outages, args.outages), (day, args.day)):
        sys.argv = [module.__name__, str(argument)]
        held &= module.main() == 0
    print(f"{'all held' if held else 'NOT all held'}; {(time.perf_counter() - began) / 60:.1f} min")
    return 0 if held else 1


if __name__ == "__main__":
    raise SystemExit(main())
