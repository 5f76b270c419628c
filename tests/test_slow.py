"""Long proofs: make test-slow."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.memory import run


@pytest.mark.slow
def test_peak_memory_does_not_grow_with_the_length(clips: Path, tmp_path: Path) -> None:
    short, long = (
        run(clips / "solidWhiteRight.mp4", seconds, "fake:", tmp_path) for seconds in (20.0, 180.0)
    )
    assert long.frames > 8 * short.frames
    assert long.megabytes < 1.1 * short.megabytes
