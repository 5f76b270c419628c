"""The one loop: what a task's error does to the others."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass, field
from typing import Any

import pytest

from segpipe.core.errors import DatasetBusy
from segpipe.pipeline.run import do


@dataclass
class FailingStream:
    """A stream whose recording raises."""

    error: Exception
    name: str = "front-camera"

    def record(self, *_: Any) -> Any:
        raise self.error


@dataclass
class Ready:
    """What a stream needs of a run that is ready."""

    worker: Any = field(default_factory=object)
    store: Any = None
    ending: threading.Event = field(default_factory=threading.Event)

    def is_over(self) -> bool:
        return self.ending.is_set()


def test_a_stream_that_fails_is_told_at_once_and_the_others_go_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ready = Ready()
    with caplog.at_level(logging.ERROR), pytest.raises(RuntimeError):
        do(FailingStream(RuntimeError("rtsp://joe:secret@cam/1 broke")), ready)  # type: ignore[arg-type]
    assert not ready.ending.is_set()
    assert "front-camera failed and is recorded no more: RuntimeError: " in caplog.text
    assert "secret" not in caplog.text


def test_an_error_after_which_nothing_can_be_written_ends_the_other_streams() -> None:
    ready = Ready()
    with pytest.raises(DatasetBusy):
        do(FailingStream(DatasetBusy("another run has taken it")), ready)  # type: ignore[arg-type]
    assert ready.ending.is_set()
