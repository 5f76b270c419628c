"""How long the cookbook's queries and the layers take on ten million rows of class_stats, on two
cores.

python -m tests.benchmarks.ten_million_rows [FOLDER]: the dataset is made there (344 MB; one that is
there is taken as it is), without FOLDER in a temporary one. Exit code 1 where a limit is exceeded.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from segpipe import open_dataset
from segpipe.analysis.aggregate import aggregate
from segpipe.analysis.events import find_events
from segpipe.store.manifest import FILE
from tests.benchmarks.drives import city
from tests.synthetic import write_dataset

ROOT = Path(__file__).parents[2]

QUERY_LIMIT_S, LAYER_LIMIT_S = 2.0, 10.0
THREADS = 2


def cookbook() -> dict[str, str]:
    """The queries of docs/queries.md by their headings."""
    text = (ROOT / "docs" / "queries.md").read_text(encoding="utf-8")
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return {
        p.partition("\n")[0]: q
        for p in parts
        for q in re.findall(r"```sql\n(.*?)```", p, re.DOTALL)
    }


def _rows(query: str, connection: Any) -> Any:
    return connection.sql(query).to_arrow_table()


def measure(root: Path, repeats: int) -> list[tuple[str, float, float]]:
    """Name, least seconds and limit of each: opening the dataset included, as a command does."""

    def timed(work: Callable[[Any], object]) -> float:
        seconds = []
        for _ in range(repeats):
            start = time.perf_counter()
            connection = open_dataset(root).duckdb()
            connection.execute(f"SET threads = {THREADS}")
            work(connection)
            seconds.append(time.perf_counter() - start)
        return min(seconds)  # what other programs take only adds

    found = [
        (name, timed(partial(_rows, query)), QUERY_LIMIT_S) for name, query in cookbook().items()
    ]
    path = "class = 'pedestrian' and region = 'path' and pixel_fraction > 0.02"
    found.append(
        ("events --where person in path", timed(lambda c: find_events(c, path)), LAYER_LIMIT_S)
    )
    found += [
        (f"aggregate --by {by}", timed(partial(aggregate, by=by)), LAYER_LIMIT_S)
        for by in ("h3:10", "metres:50")
    ]
    return found


def main() -> int:
    """Print the table; 1 where something took longer than its limit."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--frames", type=int, default=150_000)
    parser.add_argument(
        "--repeats", type=int, default=3, help="the least of so many counts (default 3)"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(args.folder or temporary)
        if not (root / FILE).exists():
            start = time.perf_counter()
            write_dataset(root, city(args.frames), rng=np.random.default_rng(1))
            print(f"made {root} in {time.perf_counter() - start:.0f} s")
        rows = open_dataset(root).duckdb().sql("SELECT count(*) FROM class_stats").fetchall()[0][0]
        found = measure(root, args.repeats)
    width = max(len(name) for name, _, _ in found)
    print(f"{rows} rows of class_stats, {THREADS} threads, the least of {args.repeats}")
    for name, seconds, limit in found:
        print(
            f"{name:{width}}  {seconds:5.2f} s  of {limit:4.0f} "
            f"s{'   TOO SLOW' if seconds > limit else ''}"
        )
    name, seconds, limit = max(found, key=lambda f: f[1] / f[2])
    print(f"closest to its limit: {name}, {100 * seconds / limit:.0f} %")
    return int(any(seconds > limit for _, seconds, limit in found))


if __name__ == "__main__":
    sys.exit(main())
