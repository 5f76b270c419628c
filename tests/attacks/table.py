"""The table that `make attack` prints: each attack, whether it was held, and its seconds."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass
class _Attack:
    """What became of one attack; several tests may show it."""

    seconds: float = 0.0
    outcome: str = "held"


class AttackTable:
    """A pytest plugin: `pytest -m attack -p tests.attacks.table`."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._attacks: dict[str, _Attack] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        """Note what each test's attack is called."""
        for item in items:
            marker = item.get_closest_marker("attack")
            if marker is not None:
                self._names[item.nodeid] = str(marker.args[0])

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note how a test ended."""
        name = self._names.get(report.nodeid)
        if name is None:
            return
        attack = self._attacks.setdefault(name, _Attack())
        attack.seconds += report.duration
        if report.failed:
            attack.outcome = "THROUGH"
        elif report.skipped and attack.outcome == "held":
            attack.outcome = "not tried here"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        """Print the table."""
        say = terminalreporter.write_line
        say("")
        say(f"{'attack':<74}{'outcome':<16}seconds")
        for name, attack in sorted(self._attacks.items()):
            say(f"{name:<74}{attack.outcome:<16}{attack.seconds:.1f}")
        through = sum(a.outcome == "THROUGH" for a in self._attacks.values())
        untried = sum(a.outcome == "not tried here" for a in self._attacks.values())
        say(f"attacks: {len(self._attacks)}, through: {through}, not tried here: {untried}")


def pytest_configure(config: pytest.Config) -> None:
    """Take part in the run."""
    config.pluginmanager.register(AttackTable(), "attack-table")
