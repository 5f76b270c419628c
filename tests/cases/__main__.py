"""Print the table of cases: input, right, got. `python -m tests.cases [FOLDER]`; `make cases`."""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from tests.cases.running import Runner
from tests.cases.table import CASES
from tests.conftest import TEST_DATA


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder",
        type=Path,
        nargs="?",
        default=TEST_DATA / "cases",
        help="where the inputs of the cases lie (default: cases in SEGPIPE_TEST_DATA)",
    )
    folder = parser.parse_args().folder.resolve()
    if not folder.is_dir():
        print(f"{folder}: no such folder; give the one that holds the cases", file=sys.stderr)
        return 2
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="segpipe-cases-") as scratch:
        runner = Runner(folder, Path(scratch))
        for case in CASES:
            try:
                got, right = case.get(runner)
            except Exception as error:  # noqa: BLE001 - one case must not hide the others
                got, right = f"{type(error).__name__}: {error}", False
            wrong += not right
            print(f"{'ok   ' if right else 'WRONG'} {case.input}")
            print(f"      right: {case.right}\n      got:   {got}", flush=True)
    print(f"{len(CASES) - wrong} of {len(CASES)} cases are right")
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
