"""How much the command line tells: the levels of its log, and tracebacks without secrets. Nothing
that it prints moves the cursor of a terminal."""

from __future__ import annotations

import logging
import sys
import traceback
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from types import TracebackType
from typing import Any, TextIO, cast

from segpipe.core.redact import redact
from segpipe.core.text import plain_lines
from segpipe.runtime.log_forwarding import OneLine

_UP = "\x1b[A"
"""How a bar below another goes back up."""


class _Harmless:
    """A stream that escapes control characters but line feeds. Progress bars may return to the
    start of their line, and to a line above, by a write of that alone."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Write the text; returns its length."""
        start = "\r" if text.startswith("\r") else ""
        bar = not text.replace(_UP, "").strip("\n")
        self._stream.write(text if bar else start + plain_lines(text[len(start) :]))
        return len(text)

    def writelines(self, lines: Any) -> None:
        """Write several texts."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def harmless_output() -> Iterator[None]:
    """Whatever is printed meanwhile can be shown by a terminal."""
    out, errors = (cast("TextIO", _Harmless(s)) for s in (sys.stdout, sys.stderr))
    with redirect_stdout(out), redirect_stderr(errors):
        yield


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
    handler = _AboveTheBar()
    handler.setFormatter(OneLine("segpipe: %(message)s"))
    logging.basicConfig(level=logging.DEBUG if args.debug else logging.WARNING, handlers=[handler])
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
    told = "".join(traceback.format_exception(kind, error, trace))
    sys.stderr.write(plain_lines(redact(told)))
