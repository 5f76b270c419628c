"""What it costs to learn what a dataset of many shards holds, from its footers and from its index.

python -m tests.benchmarks.many_shards [FOLDER] [--shards N]: the dataset is made there (one that is
there is taken as it is), without FOLDER in a temporary one. Each shard has one failed frame and a
video of its own. Seconds are of the processor, of a process of its own; memory is its peak.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from segpipe.store import index
from segpipe.store.manifest import FILE
from tests.tiny_shards import add_shards, age, tiny_store

ROOT = Path(__file__).parents[2]
WAYS = {
    "nothing (imports)": "",
    "all footers": "root.joinpath('index/shards.parquet').unlink(); read_records(root)",
    "all footers, and the index written": "records_and_update(root, lambda: None)",
    "the index": "read_records(root)",
    "the index, held": "records_and_update(root, lambda: None)",
    "at the end of a run": "update(root)",
}
CODE = """
import resource, sys, time
from pathlib import Path
from segpipe.store.index import read_records, records_and_update, update
root, began = Path(sys.argv[1]), time.process_time()
{way}
unit = 1 if sys.platform == "darwin" else 1024
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
print(f"{{time.process_time() - began:.2f}} s of the processor, {{peak / 1e6:.0f}} MB")
"""


def make(root: Path, shards: int) -> None:
    """Write the dataset, and its index."""
    add_shards(tiny_store(root), range(shards))
    age(root)
    index.update(root)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--shards", type=int, default=10_000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(args.folder or temporary)
        if not (root / FILE).exists():
            began = time.process_time()
            make(root, args.shards)
            print(f"made {args.shards} shards in {time.process_time() - began:.0f} s")
        for name, way in WAYS.items():
            command = [sys.executable, "-c", CODE.format(way=way), str(root)]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            print(f"{name:36} {done.stdout.strip()}")


if __name__ == "__main__":
    main()
