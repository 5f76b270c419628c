"""Every package of the images, with the hashes of its files: `python -m scripts.lock` writes
`docker/requirements.lock` again after a change of `pyproject.toml` or `constraints.txt`. It needs
uv, which `pip install uv` brings.

Source archives are left out: installing one runs its code, with whatever that fetches.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

LOCK = Path("docker/requirements.lock")
PYTHON = "3.11"
"""That of the images."""
HEADER = (
    f"# Written by python -m scripts.lock, for Python {PYTHON} and later: change nothing here.\n"
)
_BUILD = "setuptools>=77\n"
"""What builds segpipe itself, as pyproject.toml has it."""


def command() -> list[str]:
    """What makes the list. The addresses of indexes stay out of it."""
    return [
        *[sys.executable, "-m", "uv", "pip", "compile", "--quiet"],
        *["pyproject.toml", "-", "--extra", "all", "-c", "constraints.txt"],
        *["--generate-hashes", "--only-binary", ":all:", "--universal"],
        *["--python-version", PYTHON],
        *["--no-header", "--no-annotate", "--no-emit-index-url", "--no-emit-find-links"],
    ]


def main() -> int:
    """Write the list; returns the exit code."""
    if importlib.util.find_spec("uv") is None:
        print("lock: uv isn't installed; run pip install uv", file=sys.stderr)
        return 2
    done = subprocess.run(  # noqa: S603 - our own command, and no shell
        command(), input=_BUILD, capture_output=True, text=True, check=False
    )
    if done.returncode:
        print(f"lock: {done.stderr.strip()}", file=sys.stderr)
        return 1
    LOCK.write_text(HEADER + done.stdout, encoding="utf-8")
    packages = sum("==" in line for line in done.stdout.splitlines())
    print(f"{LOCK}: {packages} packages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
