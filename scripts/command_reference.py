"""Make docs/commands.md from the parsers: python -m scripts.command_reference"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable
from pathlib import Path

from segpipe.cli import parser
from segpipe.cli.help_texts import EXAMPLES, OUTPUTS

PAGE = Path("docs/commands.md")
_HEAD = """# Commands

`python -m scripts.command_reference` writes this page from the command line's own help.

```text
segpipe [-v] [-q] [--debug] COMMAND …
```

Every command also takes these flags, before or after its name:

{messages}

Results go to standard output; progress, notes and errors go to standard error. Commands don't
overwrite files without `--force`.

| exit code | means |
|---|---|
| 0 | done |
| 1 | a shard or every frame of a run failed, or something unexpected |
| 2 | wrong usage or config |
| 3 | the input is missing or unreadable |
| 4 | the model can't be loaded or used |
| 5 | the dataset can't be read or written |
| 6 | done, but some frames failed: they are rows with `status = 'error'` |
| 7 | the training failed |
| 8 | rows are missing, duplicated or wrong (`segpipe verify`) |
| 130 | interrupted (Ctrl-C) |
| 143 | stopped (SIGTERM) |
"""


def main() -> None:
    PAGE.write_text(reference(), encoding="utf-8")
    print(PAGE)


def reference() -> str:
    """The page: flags of all commands, exit codes, then a section for each command."""
    top = parser()
    parts = [_HEAD.format(messages=_listed(_of_group(top, "messages")))]
    found = next(a for a in top._actions if isinstance(a, argparse._SubParsersAction))
    parts += [_section(name, command) for name, command in found.choices.items()]
    return "\n".join(parts)


def _section(name: str, command: argparse.ArgumentParser) -> str:
    shared = {id(a) for a in _of_group(command, "messages")}
    own = [a for a in command._actions if id(a) not in shared and a.dest != "help"]
    about, _, _ = (command.description or "").partition(" By default it ")
    parts = [
        f"## segpipe {name}\n",
        re.sub(r"docs/(\w+)\.md", r"[\1](\1.md)", f"{about}\n"),
        f"By default it {OUTPUTS[name]}\n",
        f"```text\nsegpipe {EXAMPLES[name]}\n```\n",
    ]
    return "\n".join([*parts, f"{_listed(own)}\n"] if own else parts)


def _of_group(command: argparse.ArgumentParser, title: str) -> list[argparse.Action]:
    """The actions of an argument group."""
    return next(g._group_actions for g in command._action_groups if g.title == title)


def _listed(actions: Iterable[argparse.Action]) -> str:
    return "\n".join(f"- {_names(a)}: {a.help}" for a in actions)


def _names(action: argparse.Action) -> str:
    """An argument as it is typed: `-o OUT`, `--output OUT`, or `INPUT...`."""
    value = ""
    if action.nargs != 0:
        choices = "|".join(str(c) for c in action.choices or ())
        name = action.metavar or choices or action.dest.upper()
        value = f"{name}..." if action.nargs in ("*", "+") else str(name)
    if not action.option_strings:
        return f"`{value}`"
    return ", ".join(f"`{option} {value}`".replace(" `", "`") for option in action.option_strings)


if __name__ == "__main__":
    main()
