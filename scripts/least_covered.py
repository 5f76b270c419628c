"""Lines and branches that the tests reach, and the ten modules with the least of them: what `make
coverage` prints after the tests."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

MOST = 10


def measured() -> dict[str, Any]:
    """Coverage's JSON report of the data that the tests left in `.coverage`."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "coverage.json"
        command = [sys.executable, "-m", "coverage", "json", "--quiet", "-o", str(file)]
        done = subprocess.run(  # noqa: S603 - our own command, and no shell
            command, capture_output=True, text=True, check=False
        )
        if done.returncode:
            sys.exit(f"coverage: {(done.stdout + done.stderr).strip()}; run make coverage")
        content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
        return content


def line(name: str, summary: dict[str, Any]) -> str:
    """A module's share in per cent, lines and branches together, and what was reached of each."""
    share, lines = summary["percent_covered"], summary["num_statements"]
    reached = f"{summary['covered_lines']} of {lines} lines"
    branches = f"{summary['covered_branches']} of {summary['num_branches']} branches"
    return f"{share:6.1f} %  {name}  ({reached}, {branches})"


def main() -> None:
    content = measured()
    summaries = {
        name: file["summary"]
        for name, file in content["files"].items()
        if file["summary"]["num_statements"]
    }
    least = sorted(summaries, key=lambda name: summaries[name]["percent_covered"])
    print(f"the {min(MOST, len(least))} least covered of {len(least)} modules:")
    for name in least[:MOST]:
        print(line(name, summaries[name]))
    print(line("in all", content["totals"]))


if __name__ == "__main__":
    main()
