"""How much the command line tells: the levels of its log, and tracebacks without secrets."""

from __future__ import annotations

import logging
import sys
import traceback
from argparse import Namespace
from types import TracebackType
from typing import TextIO

from segpipe.core.redact import redact


class _AboveTheBar(logging.StreamHandler[TextIO]):
    """Writes to standard error; where a progress bar stands there, above it."""

    def emit(self, record: logging.LogRecord) -> None:
        bars = sys.modules.get("tqdm")
        if bars is None:
            super().emit(record)
        else:
            bars.tqdm.write(self.format(record), file=self.stream)


def set_levels(args: Namespace) -> None:
    """Set the level of segpipe's own log, on standard error: warnings and notes; with `-v` each
    step; with `-qq` errors only. `--debug` shows all that segpipe and its libraries log."""
    logging.basicConfig(
        level=logging.DEBUG if args.debug else logging.WARNING,
        format="segpipe: %(message)s",
        handlers=[_AboveTheBar()],
    )
    if not args.debug:
        logging.getLogger("numba").setLevel(logging.WARNING)
    logging.getLogger("segpipe").setLevel(_level(args))


def _level(args: Namespace) -> int:
    if args.debug:
        return logging.DEBUG
    if args.verbose:
        return logging.INFO
    return logging.ERROR if args.quiet > 1 else logging.NOTSET


def show_traceback(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    """Print a traceback as Python does, without the secrets of URLs."""
    sys.stderr.write(redact("".join(traceback.format_exception(kind, error, trace))))
