"""What `make fuzz` says of a parser with a fault, and of one without."""

from __future__ import annotations

from types import ModuleType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.__main__ import run


def module_of(limit: int) -> ModuleType:
    """A module with one property, of a parser that fails from a number on."""

    @settings(max_examples=100, derandomize=True, database=None)
    @given(st.integers(0, 1000))
    def test_property(number: int) -> None:
        if number >= limit:
            raise KeyError(number)

    module = ModuleType("tests.fuzz.test_made_up")
    module.test_property = test_property  # type: ignore[attr-defined]
    return module


def test_a_fault_is_found_and_shown_with_its_example(capsys: pytest.CaptureFixture[str]) -> None:
    outcome = run([module_of(10)], 0.001)["made_up"]
    assert outcome.examples > 0
    assert len(outcome.found) == 1
    assert "KeyError: 10" in outcome.found[0]
    assert "number=10" in outcome.found[0]
    assert capsys.readouterr().out.split() == ["made_up", str(outcome.examples), "1"]


def test_a_sound_parser_has_examples_and_nothing_found() -> None:
    outcome = run([module_of(2000)], 0.001)["made_up"]
    assert outcome.examples >= 100
    assert outcome.found == []
