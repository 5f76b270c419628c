"""What segpipe logs reaches another logger: from every thread, once, without secrets."""

from __future__ import annotations

import logging
import threading

import pytest

from segpipe.runtime.log_forwarding import forwarding

LOG = logging.getLogger("segpipe.somewhere.deep")


@pytest.fixture
def caught() -> tuple[logging.Logger, list[tuple[int, str]]]:
    lines: list[tuple[int, str]] = []

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append((record.levelno, record.getMessage()))

    target = logging.Logger("target")
    target.addHandler(Keep())
    return target, lines


def test_lines_of_every_thread_arrive_once(
    caught: tuple[logging.Logger, list[tuple[int, str]]],
) -> None:
    target, lines = caught
    with forwarding(lambda: target), forwarding(lambda: target):
        LOG.info("one %d", 1)
        thread = threading.Thread(target=LOG.warning, args=("two",))
        thread.start()
        thread.join()
        LOG.debug("not asked for")
    LOG.error("after the end")
    assert lines == [(logging.INFO, "one 1"), (logging.WARNING, "two")]


def test_secrets_stay_out(caught: tuple[logging.Logger, list[tuple[int, str]]]) -> None:
    target, lines = caught
    with forwarding(lambda: target):
        try:
            raise OSError("rtsp://me:pass-word@camera/x isn't there")
        except OSError:
            LOG.exception("rtsp://me:pass-word@camera/x?token=t0ken")
    ((level, text),) = lines
    assert level == logging.ERROR
    assert "Traceback" in text
    assert "pass-word" not in text
    assert "t0ken" not in text


def test_the_logger_is_as_it_was() -> None:
    top = logging.getLogger("segpipe")
    before = (top.level, list(top.handlers))
    with forwarding(lambda: top.parent or top, logging.DEBUG):
        assert (top.level, len(top.handlers)) == (logging.DEBUG, len(before[1]) + 1)
    assert (top.level, list(top.handlers)) == before
