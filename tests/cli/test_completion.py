"""Shell completion (the extra `completion`)."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def answers(line: str) -> set[str]:
    """What the shell is offered at the end of a line."""
    env = {
        **os.environ,
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": "/dev/stdout",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    code = "from segpipe.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, check=False
    )
    return {word.strip() for word in done.stdout.splitlines()}


def test_commands_flags_and_choices() -> None:
    pytest.importorskip("argcomplete")
    assert answers("segpipe ov") == {"overlay"}
    assert {"--where", "--min-seconds", "--force"} <= answers("segpipe events out --")
    assert answers("segpipe schema ") >= {"job", "training"}


def test_without_the_package_nothing_is_offered_and_the_command_runs() -> None:
    code = (
        "import sys, os; sys.modules['argcomplete'] = None; os.environ['_ARGCOMPLETE'] = '1'; "
        "from segpipe.cli import main; main(['schema', 'job'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("{")
