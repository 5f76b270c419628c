"""Fixtures of the tests of streams."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.pipeline.live.progress import OwnTime, Progress
from tests.pipeline.live.recording import Background


@pytest.fixture(autouse=True)
def ended() -> Iterator[None]:
    """A test that failed leaves no recording behind, for which the interpreter would wait."""
    yield
    while Background.running:
        Background.running.pop().over.set()


@pytest.fixture
def progress(monkeypatch: pytest.MonkeyPatch) -> Progress:
    """How far the recordings of this process have come."""
    return Progress(monkeypatch)


@pytest.fixture
def own_time(monkeypatch: pytest.MonkeyPatch) -> OwnTime:
    """The same, and this process's streams are recorded in a time that the test moves."""
    return OwnTime(monkeypatch)
