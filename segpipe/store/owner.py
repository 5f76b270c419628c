"""Who holds a dataset: a note for the run that comes second, and for the one after a run that
died."""

from __future__ import annotations

import json
import os
import platform
import sys
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from segpipe.core.errors import DatasetBusy
from segpipe.core.json_text import parse_json
from segpipe.core.redact import shown
from segpipe.runtime.files.paths import AnyPath

_MOST_COMMAND = 300


@dataclass(frozen=True, slots=True)
class Owner:
    """A run that holds a dataset. `started` and `beat` (its last sign of life) are UTC in ISO 8601.
    `machine` and `process` tell it from one of the same host name or number: only within one boot
    and one PID namespace says a pid who is alive."""

    host: str
    pid: int
    started: str
    command: str
    machine: str
    process: str
    token: str
    beat: str = ""

    @classmethod
    def here(cls) -> Owner:
        """This process, with a token of its own for each time it is asked."""
        command = " ".join(
            shown(a) if "://" in a else a for a in [Path(sys.argv[0]).name, *sys.argv[1:]]
        )
        pid = os.getpid()
        return cls(
            platform.node(),
            pid,
            utc_now(),
            command[:_MOST_COMMAND],
            _machine(),
            _process(pid),
            uuid.uuid4().hex,
            utc_now(),
        )

    def text(self) -> str:
        """The note as JSON."""
        return json.dumps(asdict(self)) + "\n"

    def describe(self) -> str:
        """Who and since when, for a message."""
        since = datetime.fromisoformat(self.started)
        seconds = max(0, round((datetime.now(UTC) - since).total_seconds()))
        ago = (
            f"{seconds} s"
            if seconds < 90
            else f"{seconds // 60} min"
            if seconds < 7200
            else f"{seconds // 3600} h"
        )
        return f"pid {self.pid} on host {self.host}, since {since:%Y-%m-%d %H:%M} UTC ({ago} ago)"

    def silent_s(self) -> float:
        """Seconds since its last sign of life, as far as its clock and this one agree."""
        return (datetime.now(UTC) - datetime.fromisoformat(self.beat)).total_seconds()

    def is_known_dead(self) -> bool:
        """Whether it is a process of this very machine that isn't there any more; False where that
        can't be known."""
        return (
            bool(self.machine) and self.machine == _machine() and self.process != _process(self.pid)
        )


def read_owner(text: str | bytes) -> Owner | None:
    """The owner out of a note; None where there is none, or it is only half written."""
    try:
        found = Owner(**parse_json(text))
        found.describe(), found.silent_s()
        # What a stranger wrote is shown: short, and of the kinds that are written here
        long = [t for t in asdict(found).values() if len(str(t)) > _MOST_COMMAND]
        if type(found.pid) is not int or type(found.host) is not str or long:
            return None
    except (ValueError, TypeError, OverflowError):  # a time that is none, too
        return None
    return found


def busy(root: AnyPath, owner: Owner | None) -> DatasetBusy:
    """What to raise where another run holds a dataset."""
    who = f": {owner.describe()}" if owner is not None else ""
    return DatasetBusy(
        f"{root}: another run is writing to this dataset{who}; wait for it, or write elsewhere"
    )


def utc_now() -> str:
    """Now, as a note has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _machine() -> str:
    """This boot of this machine, and the PID namespace (a container's own) in it; empty where the
    system doesn't tell."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{platform.node()} {boot} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


def _process(pid: int) -> str:
    """When a process of this machine began, in its clock's ticks: pids are used again. Empty where
    there is none."""
    try:
        return (
            Path(f"/proc/{pid}/stat")
            .read_text(encoding="utf-8", errors="replace")
            .rpartition(")")[2]
            .split()[19]
        )
    except (OSError, IndexError):
        return ""
