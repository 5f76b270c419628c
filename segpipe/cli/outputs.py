"""Files and folders that commands write: nothing that is there is overwritten unasked."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

from segpipe.core.errors import ConfigError, DatasetError
from segpipe.core.text import one_line_text


def add_force(command: argparse.ArgumentParser) -> None:
    """Add the flag `--force` to a command that writes files."""
    command.add_argument("--force", action="store_true", help="overwrite what is there already")


def add_dataset(command: argparse.ArgumentParser) -> None:
    """Add the argument that names the dataset to read."""
    command.add_argument("dataset", metavar="OUT", help="the dataset: a folder or a URL")


def add_footage(command: argparse.ArgumentParser) -> None:
    """Add the flag that names where footage lies that has moved."""
    command.add_argument(
        "--footage",
        action="append",
        default=[],
        type=path_name,
        metavar="ROOT",
        help="a folder to look in for footage that isn't where it was seen last, or of a dataset "
        "that no run of yours made (may be given several times)",
    )


def add_format(command: argparse.ArgumentParser) -> None:
    """Add the flag `--format` to a command that prints rows."""
    command.add_argument(
        "--format",
        choices=("table", "csv", "json"),
        default="table",
        help="how to print the rows (default table)",
    )


def path_name(text: str) -> str:
    """The type of arguments that name a file or folder: an empty variable of a shell is a
    mistake."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the name is empty; give a file or folder")
    return text


def check_files(paths: list[str], force: bool) -> None:
    """Raises ConfigError for a file that is there already, DatasetError for one that can't be
    written, before the work; with `force` says which ones are overwritten."""
    for path in paths:
        _check_parent(path)
    there = [p for p in paths if os.path.lexists(p)]
    folders = [p for p in there if Path(p).is_dir()]
    if folders:
        raise ConfigError(f"{_names(folders)}: a folder; name a file")
    if there and not force:
        raise ConfigError(
            f"{_names(there)}: already there; --force overwrites it, or name another file"
        )
    for path in there:
        print(f"segpipe: {one_line_text(path)} is overwritten", file=sys.stderr)


def check_folder(path: str | None, force: bool) -> None:
    """The same for a folder of results: one that holds anything is refused without `force`. Raises
    ConfigError, DatasetError."""
    if path is None:
        return
    if Path(path).exists() and not Path(path).is_dir():
        raise DatasetError(f"{path}: can't be written (it is a file, not a folder); name a folder")
    _check_parent(path)
    if not _holds(Path(path)):
        return
    if not force:
        raise ConfigError(
            f"{path}: the folder isn't empty; --force overwrites results in it, or name "
            "another folder"
        )
    print(f"segpipe: results in {one_line_text(path)} are overwritten", file=sys.stderr)


def check_sample_folder(path: str, force: bool, images: bool = False) -> None:
    """Raises ConfigError for a folder that holds other things than a sample drive: rendering
    deletes the label maps there. A sample drive is rendered again with `force`."""
    from segpipe.training.sample.folder import not_rendered

    others = not_rendered(Path(path), images)
    if others:
        raise ConfigError(
            f"{path}: the folder holds other things ({_names(others)}); name a new folder"
        )
    check_folder(path, force)


def check_new_export(path: str, force: bool) -> None:
    """Raises ConfigError, DatasetError for a folder that an export can't take the place of; with
    `force` says that it replaces one."""
    from segpipe.analysis.export.folder import check_replaceable

    _check_parent(path)
    check_replaceable(Path(path), force)
    if _holds(Path(path)):
        print(f"segpipe: the export in {one_line_text(path)} is replaced", file=sys.stderr)


def _check_parent(path: str) -> None:
    """Raises DatasetError where no file can be made at `path`; missing folders are made later."""
    parent = next(p for p in Path(path).absolute().parents if os.path.exists(p))
    if not parent.is_dir():
        raise DatasetError(
            f"{path}: can't be written ({parent} is a file, not a folder); choose another place"
        )
    if not os.access(parent, os.W_OK | os.X_OK):
        raise DatasetError(
            f"{path}: can't be written (no permission in {parent}); choose another place"
        )


def _holds(folder: Path) -> set[str]:
    return {p.name for p in folder.iterdir()} if folder.is_dir() else set()


def _names(names: list[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
