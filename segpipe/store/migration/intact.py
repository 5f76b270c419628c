"""What goes wrong with a single file of the old dataset."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

import pyarrow as pa

from segpipe.core.errors import DatasetError
from segpipe.core.text import one_line_text

P = ParamSpec("P")
Made = TypeVar("Made")
_DAMAGED = (
    DatasetError,
    OSError,
    pa.ArrowException,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
)
"""What a damaged file may raise."""


def intact(path: Path, work: Callable[P, Made], *arguments: P.args, **others: P.kwargs) -> Made:
    """What `work` makes of a file. Raises DatasetError where the file is damaged, OSError where the
    disk is full or can't be reached."""
    try:
        return work(*arguments, **others)
    except _DAMAGED as error:
        if isinstance(error, OSError) and error.errno and not isinstance(error, FileNotFoundError):
            raise
        raise DatasetError(
            f"{path}: can't be migrated ({one_line_text(str(error))}); restore it from a copy, or "
            "move it elsewhere: what it held is then done again"
        ) from None
