"""Known vulnerabilities of what is installed, by pip-audit: `make check` runs it.

Where the database of vulnerabilities can't be reached nothing is audited, which is said and is no
failure; a vulnerability is one.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

TIMEOUT_S = 120


def audit() -> tuple[list[dict[str, Any]], str]:
    """What pip-audit says of each package that it knew, and why there is nothing where it knew
    none."""
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--local",
        "--progress-spinner",
        "off",
        "--timeout",
        "10",
        "--format",
        "json",
    ]
    try:
        done = subprocess.run(  # noqa: S603 - our own command, and no shell
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
        found = json.loads(done.stdout)["dependencies"]
    except subprocess.TimeoutExpired:
        return [], f"no answer for {TIMEOUT_S} s"
    except (ValueError, KeyError):
        return [], (done.stderr.strip().splitlines() or ["pip-audit gave no result"])[-1]
    known = [d for d in found if "vulns" in d]
    return (
        known,
        ""
        if known
        else f"none of {len(found)} packages is known to the database that answers here",
    )


def main() -> int:
    known, why = audit()
    if not known:
        print(f"audit: not done, the database of vulnerabilities can't be reached ({why})")
        return 0
    bad = [
        (d["name"], d["version"], v["id"], ", ".join(v["fix_versions"]) or "none yet")
        for d in known
        for v in d["vulns"]
    ]
    for name, version, number, mended in bad:
        print(f"audit: {name} {version} has {number}; mended in: {mended}")
    print(f"audit: {len(known)} packages, {len(bad)} known vulnerabilities")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
