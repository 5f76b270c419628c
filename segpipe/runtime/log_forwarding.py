"""What segpipe logs, sent to a logger of somebody else's: the log of a flow's run, say."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from segpipe.core.redact import redact
from segpipe.core.text import one_line_text, plain_lines

Target = Callable[[], "logging.Logger | logging.LoggerAdapter[Any]"]
_LOGGER = logging.getLogger("segpipe")
_lock = threading.Lock()


class OneLine(logging.Formatter):
    """A record is one line, whatever names are in it; a traceback keeps its lines."""

    def formatMessage(self, record: logging.LogRecord) -> str:
        """The line without its traceback."""
        return one_line_text(super().formatMessage(record))


class _Forward(logging.Handler):
    """Hands each record to the target that was added last: one line is told once, however often
    forwarding is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(OneLine())
        self.targets: list[Target] = []
        self.level_before = logging.NOTSET

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.targets[-1]().log(record.levelno, "%s", plain_lines(redact(self.format(record))))
        except Exception:  # noqa: BLE001 - as every handler does: a log must not end the work
            self.handleError(record)


_forward = _Forward()


@contextmanager
def forwarding(target: Target, level: int = logging.INFO) -> Iterator[None]:
    """Send what segpipe logs at `level` or above to the logger that `target` returns, from every
    thread, without secrets."""
    with _lock:
        if not _forward.targets:
            _forward.level_before = _LOGGER.level
            _LOGGER.setLevel(level)
            _LOGGER.addHandler(_forward)
        _forward.targets.append(target)
    try:
        yield
    finally:
        with _lock:
            _forward.targets.remove(target)
            if not _forward.targets:
                _LOGGER.removeHandler(_forward)
                _LOGGER.setLevel(_forward.level_before)
