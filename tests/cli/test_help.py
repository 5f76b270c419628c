"""What help says: each command's sentence, default output and example; docs/commands.md."""

from __future__ import annotations

import argparse
import shlex

import pytest

from scripts.command_reference import PAGE, reference
from segpipe.cli import parser
from segpipe.cli.help_texts import EXAMPLES, OUTPUTS
from tests.conftest import ROOT


def commands() -> dict[str, argparse.ArgumentParser]:
    (found,) = (a.choices for a in parser()._actions if a.dest == "command")
    return dict(found or {})


def test_the_command_reference_is_what_the_parsers_say() -> None:
    assert (ROOT / PAGE).read_text(encoding="utf-8") == reference(), (
        "run: python -m scripts.command_reference"
    )


def test_the_example_of_every_command_can_be_typed() -> None:
    assert set(EXAMPLES) == set(commands())
    for name, example in EXAMPLES.items():
        assert parser().parse_args(shlex.split(example)).command == name


@pytest.mark.parametrize("name", commands())
def test_every_command_says_what_it_does_and_writes(name: str) -> None:
    command = commands()[name]
    text = " ".join(command.format_help().split())
    assert f"By default it {OUTPUTS[name]}" in text
    assert "example: segpipe " in text
    assert (command.description or "").split(". ")[0][0].isupper()
    assert [a.dest for a in command._actions if not a.help] == []


def test_the_defaults_that_help_names_are_the_defaults() -> None:
    for name, command in commands().items():
        for action in command._actions:
            file = isinstance(action.default, str) and "." in action.default
            if file and action.default != "==SUPPRESS==":
                assert action.default in OUTPUTS[name]
                assert f"(default {action.default})" in (action.help or "")
