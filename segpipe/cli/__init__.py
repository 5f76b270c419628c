"""The command line. Each command imports what it needs when it runs, so that help comes at once."""

from __future__ import annotations

import argparse
import os
import sys
from importlib import import_module

from segpipe.cli.messages import harmless_output, set_levels, show_traceback
from segpipe.cli.parsers import parser
from segpipe.core.errors import EXIT_INTERRUPTED, SegpipeError
from segpipe.core.redact import redact
from segpipe.core.text import one_line_text

__all__ = ["main", "parser"]

_MODULES = {
    "query": "query",
    "run": "running",
    "bench": "running",
    "models": "running",
    "sample": "running",
    "schema": "schema",
    "events": "events",
    "aggregate": "analysing",
    "diff": "analysing",
    "verify": "verifying",
    "forget": "keeping",
    "relocate": "keeping",
    "migrate": "migrating",
    "errors": "checking",
    "report": "checking",
    "train": "training",
    "evaluate": "training",
    "compare": "training",
    "export": "exporting",
}


def main(arguments: list[str] | None = None) -> int:
    """Run a command; returns its exit code. An error of ours is one line; a traceback means a bug
    in segpipe."""
    top = parser()
    _complete(top)
    args = top.parse_args(arguments)
    sys.excepthook = show_traceback
    with harmless_output():
        set_levels(args)
        return _run(args)


def _run(args: argparse.Namespace) -> int:
    try:
        module = import_module(f"segpipe.cli.{_MODULES.get(args.command, 'reading')}")
        return int(getattr(module, args.command)(args))
    except SegpipeError as error:
        if args.debug:
            show_traceback(type(error), error, error.__traceback__)
        else:
            print(f"segpipe: {one_line_text(redact(str(error)))}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("segpipe: interrupted; run the same command again to go on", file=sys.stderr)
        return EXIT_INTERRUPTED
    except BrokenPipeError:  # `segpipe query … | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _complete(top: argparse.ArgumentParser) -> None:
    """Answer a shell that asks what could follow (the extra `completion`), and end there."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        return
    argcomplete.autocomplete(top)
