"""`python -m tests.fuzz --seconds N`: each property with new input for its part of the time, then
a table of what ran and what was found. `make fuzz` runs it for an hour."""

from __future__ import annotations

import argparse
import functools
import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import is_hypothesis_test, settings

_SHOWN = 2000


@dataclass
class Outcome:
    """What became of the properties of one parser: examples that ran, and what was found."""

    examples: int = 0
    found: list[str] = field(default_factory=list)


def properties(module: ModuleType) -> dict[str, Callable[[], None]]:
    """The properties of a module by their names."""
    return {
        name: value
        for name, value in vars(module).items()
        if name.startswith("test_") and is_hypothesis_test(value)
    }


def try_property(test: Callable[[], None], seconds: float, outcome: Outcome) -> None:
    """Run one property with new input until its time is over or it finds something; once at
    least."""
    inner = test.hypothesis.inner_test  # type: ignore[attr-defined]

    @functools.wraps(inner)
    def counted(*arguments: object, **named: object) -> None:
        outcome.examples += 1
        inner(*arguments, **named)

    test.hypothesis.inner_test = counted  # type: ignore[attr-defined]
    until = time.monotonic() + seconds
    try:
        test()
        while time.monotonic() < until:
            test()
    # AssertionErrors of pytest are Exceptions, its failures (pytest.raises) are not
    except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001 - whatever a parser raised
        notes = "\n".join(getattr(error, "__notes__", []))
        said = f"{type(error).__name__}: {error}\n{notes}"[:_SHOWN]
        outcome.found.append(f"{test.__module__}.{test.__name__}: {said}")
    finally:
        test.hypothesis.inner_test = inner  # type: ignore[attr-defined]


def run(modules: list[ModuleType], seconds: float) -> dict[str, Outcome]:
    """Try the properties of the modules, each as long as the others, `seconds` in all."""
    number = sum(len(properties(module)) for module in modules)
    outcomes = {}
    for module in modules:
        parser = module.__name__.rpartition(".")[2].removeprefix("test_")
        outcome = outcomes[parser] = Outcome()
        for test in properties(module).values():
            try_property(test, seconds / number, outcome)
        print(f"{parser:<24}{outcome.examples:>12}{len(outcome.found):>10}", flush=True)
    return outcomes


def main() -> int:
    """The exit code: 1 where something was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=3600.0, help="for all properties")
    seconds = parser.parse_args().seconds
    settings.load_profile("long")  # before the modules are loaded: they take what is set then
    files = sorted(Path(__file__).parent.glob("test_*.py"))
    modules = [importlib.import_module(f"{__package__}.{file.stem}") for file in files]
    print(f"{'parser':<24}{'examples':>12}{'found':>10}")
    outcomes = run([m for m in modules if properties(m)], seconds)
    found = [text for outcome in outcomes.values() for text in outcome.found]
    for text in found:
        print(f"\n{text}")
    examples = sum(outcome.examples for outcome in outcomes.values())
    print(f"\nexamples: {examples}, found: {len(found)}")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
