"""What an export is: a dataset in, a folder of files out."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from segpipe.store.dataset import Dataset

OnFrames = Callable[[int], object]
"""Told how many more frames are done."""

WriteFiles = Callable[["Dataset", Path, OnFrames], int]
"""Writes the files into an empty folder and returns how many frames they hold. It raises
DatasetError where the dataset can't be read or holds nothing to write."""


class Export(NamedTuple):
    """A kind of export. `about` says in a few words what is written, for help; `load` gives the
    function that writes, and imports what that needs; `extra` is the extra of pyproject.toml with
    its libraries, if they are in one."""

    about: str
    load: Callable[[], WriteFiles]
    extra: str = ""
