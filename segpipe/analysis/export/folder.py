"""Folders of exports: complete or not there at all."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

from segpipe.core.errors import ConfigError, DatasetError
from segpipe.core.version import __version__
from segpipe.runtime.files.atomic import flush_folder, temp_path

FILE = "export.json"
"""The file that tells an export from a folder with other things."""


def check_replaceable(folder: Path, force: bool) -> None:
    """Raises ConfigError for a folder that isn't empty, unless `force` is given and an export wrote
    it; DatasetError for a file."""
    if not folder.exists():
        return
    if not folder.is_dir():
        raise DatasetError(
            f"{folder}: can't be written (it is a file, not a folder); name a folder"
        )
    if not any(folder.iterdir()):
        return
    if not (folder / FILE).is_file():
        raise ConfigError(
            f"{folder}: the folder holds other things than an export; name a new folder"
        )
    if not force:
        raise ConfigError(
            f"{folder}: the folder holds an export; --force replaces it, or name another folder"
        )


@contextlib.contextmanager
def complete_folder(folder: Path, kind: str, force: bool) -> Iterator[Path]:
    """An empty folder to write to, which takes the place of `folder` at the end of the block. After
    an error nothing of it stays, and an earlier export is untouched. Raises as `check_replaceable`,
    and DatasetError where the disk refuses."""
    check_replaceable(folder, force)
    place = folder.resolve()
    aside = temp_path(place)
    try:
        shutil.rmtree(aside, ignore_errors=True)  # of a run that was killed
        aside.mkdir(parents=True)
        yield aside
        content = {"format": kind, "segpipe": __version__}
        (aside / FILE).write_text(json.dumps(content) + "\n", encoding="utf-8")
        _put_in_place(aside, place)
    except OSError as error:
        raise DatasetError(
            f"{folder}: can't be written ({error.strerror or error}); choose another place"
        ) from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _put_in_place(aside: Path, place: Path) -> None:
    before = temp_path(aside)
    shutil.rmtree(before, ignore_errors=True)
    if place.exists():
        place.rename(before)
    try:
        aside.rename(place)
    except OSError:
        if before.exists():
            before.rename(place)
        raise
    flush_folder(place.parent)
    shutil.rmtree(before, ignore_errors=True)
