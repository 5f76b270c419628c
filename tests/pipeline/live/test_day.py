"""Long recordings, simulated: every second accounted for, memory flat, files bounded."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.torture.day import DAY_S, OUTAGES, simulate


@pytest.mark.slow
def test_a_day(tmp_path: Path) -> None:
    day = simulate(tmp_path, DAY_S, shard_s=600)
    assert day.sent == day.frames > 40_000
    assert (day.reconnects, day.gaps) == (
        sum(kind == "drop" for _, kind, _ in OUTAGES),
        len(OUTAGES),
    )
    assert day.missing_s == pytest.approx(0, abs=0.5)
    assert day.late < 1.1 * day.early
    # Three tables and the gaps of a shard
    assert day.files <= 3 * (DAY_S / 600 + 1) + len(OUTAGES) + 3
    assert day.largest_file < 1_000_000
