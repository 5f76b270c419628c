"""The inputs that once came out wrong, where they are at hand: what `make cases` prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cases.running import Runner
from tests.cases.table import CASES, Case
from tests.conftest import at_hand


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.input)
def test_case(case: Case, tmp_path: Path) -> None:
    got, right = case.get(Runner(at_hand("cases"), tmp_path))
    assert right, f"right: {case.right}; got: {got}"
