"""The whole command line as one parser, with what all commands share."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from segpipe.cli.arguments import add_run, add_tools
from segpipe.cli.dataset_arguments import add_analysing
from segpipe.cli.help_texts import EXAMPLES, OUTPUTS
from segpipe.cli.keeping_arguments import add_keeping
from segpipe.cli.optional_value import with_argument
from segpipe.cli.reading_arguments import add_checking, add_reading
from segpipe.cli.training_arguments import add_models
from segpipe.core.redact import redact
from segpipe.core.text import one_line_text
from segpipe.core.version import __version__

_EXITS = """exit codes:
  0 done   1 a shard, every frame of a run or something unexpected failed
  2 wrong usage or config   3 input missing or unreadable   4 model   5 dataset
  6 done, but some frames failed (rows with status 'error')
  7 training   8 rows missing, duplicated or wrong (verify)
  130 interrupted (Ctrl-C)   143 stopped (SIGTERM)"""


class _Parser(argparse.ArgumentParser):
    """What it says of a wrong command line may quote a URL, or names that a shell found."""

    def error(self, message: str) -> NoReturn:
        super().error(one_line_text(redact(message)))

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """As argparse does; but a flag whose value may be left out doesn't take the one argument
        that the command needs: `segpipe verify --footage OUT`."""
        optional = [a for a in self._actions if a.nargs == "?" and a.option_strings]
        if optional and args is not None:
            args = with_argument(list(args), optional[0].option_strings[0], self._takes_value)
        return super().parse_known_args(args, namespace)

    def _takes_value(self, flag: str) -> bool:
        """Whether a flag, which may be abbreviated, takes a value."""
        names = {s: a for a in self._actions for s in a.option_strings}
        found = names.get(flag) or next((a for s, a in names.items() if s.startswith(flag)), None)
        return found is not None and found.nargs is None


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    top: argparse.ArgumentParser = _Parser(
        "segpipe",
        description="Footage in, Parquet out: masks and class statistics of images and "
        "dashcam clips.",
        epilog=_EXITS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("-V", "--version", action="version", version=f"segpipe {__version__}")
    _add_messages(top, verbose=0, quiet=0, debug=False)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    add_run(commands)
    add_reading(commands)
    add_tools(commands)
    add_analysing(commands)
    add_checking(commands)
    add_keeping(commands)
    add_models(commands)
    for name, command in commands.choices.items():
        command.description = f"{command.description} By default it {OUTPUTS[name]}"
        command.epilog = f"example: segpipe {EXAMPLES[name]}"
        # Without a default, what stood before the command holds.
        no = argparse.SUPPRESS
        _add_messages(command, verbose=no, quiet=no, debug=no)
    return top


def _add_messages(command: argparse.ArgumentParser, **defaults: Any) -> None:
    """Add the flags that say how much is told; they stand before the command or after it."""
    told = command.add_argument_group("messages")
    told.add_argument(
        "-v",
        "--verbose",
        action="count",
        default=defaults["verbose"],
        help="tell each step, such as every shard that is written",
    )
    told.add_argument(
        "-q",
        "--quiet",
        action="count",
        default=defaults["quiet"],
        help="show no progress; -qq: no warnings and notes either",
    )
    told.add_argument(
        "--debug",
        action="store_true",
        default=defaults["debug"],
        help="show tracebacks and debug messages",
    )
