"""A new dataset made beside the old one, in a hidden folder of it, and put in its place.

`.migrating/new` holds the new tables. Once they are whole, the note `.migrating/ready` says so.
Then each table's folder is moved to `.migrating/old` and the new one to its place; whoever comes
after a kill goes on. `dataset.json` has the old version until all are there, so that nobody takes a
half of each for a dataset.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from segpipe.core.errors import DatasetError
from segpipe.core.json_text import read_json
from segpipe.core.text import one_line_text
from segpipe.runtime.files.atomic import (
    ASIDE,
    flush_folder,
    make_folder,
    unfinished_name,
    write_text,
)
from segpipe.runtime.files.listing import size_bytes
from segpipe.runtime.files.paths import list_dir, remove, remove_folder
from segpipe.runtime.files.plain import read_plain
from segpipe.store.address_file import FOLDER as ADDRESSES
from segpipe.store.index import FOLDER as INDEX
from segpipe.store.index import is_file_of_index
from segpipe.store.manifest import MIGRATING
from segpipe.store.names import is_table_file
from segpipe.store.schema import SIDE_TABLES, TABLES
from segpipe.store.sources import FOLDER as SOURCES

TABLE_FOLDERS = (*TABLES, *SIDE_TABLES, SOURCES, ADDRESSES)
_READY, _PLAN = "ready.json", "plan.json"
_MOST_NOTE = 2**30
"""A plan names every file of the footage."""
_SPARE = 1.05
"""So much of the old tables' size has to be free: new columns take little."""


class Beside:
    """The folder in which a dataset is made anew."""

    def __init__(self, root: Path) -> None:
        self.root, self.folder = root, root / MIGRATING
        self.new, self.old = self.folder / "new", self.folder / "old"
        self._ready, self._plan = self.folder / _READY, self.folder / _PLAN

    def begin(self, plan: dict[str, Any]) -> dict[str, Any]:
        """Make the folders; the plan that holds. What is there already stays where it was made of
        the same files (`state`), by that plan; else all is made anew. Raises DatasetError where
        there is no room."""
        there = _read(self._plan)
        if there is None or there["state"] != plan["state"]:
            self.clear()
            there = plan
        self._check_room()
        for name in TABLE_FOLDERS:
            make_folder(self.new / name)
        write_text(self._plan, json.dumps(there) + "\n")
        return there

    def _check_room(self) -> None:
        done = size_bytes(self.new) if self.new.exists() else 0
        there = sum(size_bytes(self.root / n) for n in TABLE_FOLDERS if (self.root / n).exists())
        needed, free = int(there * _SPARE) - done, shutil.disk_usage(self.root).free
        if needed > free:
            raise DatasetError(
                f"{self.root}: the migrated dataset is made beside the old one and needs "
                f"{needed / 1e6:.0f} MB; {free / 1e6:.0f} MB are free"
            )

    @property
    def plan(self) -> dict[str, Any] | None:
        """What was begun; None where nothing was."""
        return _read(self._plan)

    @property
    def done(self) -> dict[str, Any] | None:
        """What was said of the new dataset once it was whole; None before."""
        return _read(self._ready)

    def finish(self, said: dict[str, Any]) -> None:
        """Note that the new dataset is whole."""
        for name in TABLE_FOLDERS:
            for path in list_dir(self.new / name, ASIDE):
                if is_table_file(path.name):
                    remove(path)
        write_text(self._ready, json.dumps(said) + "\n")

    def swap(self) -> None:
        """Put the new tables into the place of the old ones, as far as that hasn't been done."""
        remove_folder(self.root / INDEX, is_file_of_index)
        make_folder(self.old)
        for name in TABLE_FOLDERS:
            place, new = self.root / name, self.new / name
            if not new.exists():
                continue
            if place.exists():
                place.rename(self.old / name)
                flush_folder(self.old)
            new.rename(place)
            flush_folder(self.root)

    def clear(self) -> None:
        """Take the folder away, at the end or before a new beginning: the notes first, so that
        nobody goes on with a part of it. Files that aren't the dataset's go back to their place."""
        if not self.folder.exists():
            return
        for note in (self._ready, self._plan):
            remove(note)
        flush_folder(self.folder)
        for name in TABLE_FOLDERS:
            for other in [p.name for p in list_dir(self.old / name)]:
                if not is_table_file(other):
                    (self.old / name / other).rename(self.root / name / other)
            for side in (self.old, self.new):
                remove_folder(side / name, is_table_file)
        for folder in (self.old, self.new, self.folder):
            remove_folder(folder, _is_note)


def _is_note(name: str) -> bool:
    """Whether a file has the name of one of the two notes, whole or begun."""
    return (unfinished_name(name) or name) in {_READY, _PLAN}


def _read(path: Path) -> dict[str, Any] | None:
    """A note; None where it isn't there. Raises DatasetError where it can't be read."""
    try:
        found: dict[str, Any] = read_json(read_plain(path, _MOST_NOTE))
        if not isinstance(found, dict):
            raise ValueError("no note of segpipe's")
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        said = one_line_text(str(error))
        raise DatasetError(f"{path}: can't be read ({said})") from None
    return found
