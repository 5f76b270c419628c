"""The mark of a source that is being taken out: one small file, written before anything is removed.
From then on the source has gone, whoever reads the dataset; who writes to it removes the rest."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass

from segpipe.core.errors import DatasetError
from segpipe.core.json_text import read_json
from segpipe.runtime.files.atomic import write_text
from segpipe.runtime.files.paths import AnyPath, read_bytes

FILE = "forget.json"
_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class ForgetMark:
    """What is being taken out: a source, its shards by name, and how many frames they held.
    `file_id` is the source whose addresses go with it, empty where another stream of the same file
    needs them."""

    source_id: str
    shards: tuple[str, ...]
    frames: int
    file_id: str


def write_mark(root: AnyPath, mark: ForgetMark) -> None:
    """Write the mark, aside and renamed: the one step in which a source goes."""
    write_text(root / FILE, json.dumps(asdict(mark), indent=1) + "\n")


def read_mark(root: AnyPath) -> ForgetMark | None:
    """The mark of a source that was being taken out when segpipe was killed, or is right now; None
    where there is none. Raises DatasetError for one that isn't whole."""
    path = root / FILE
    try:
        content = read_json(read_bytes(path))
        mark = ForgetMark(**(content | {"shards": tuple(content["shards"])}))
        # Names from a file are no paths: they must not lead out of the dataset
        wrong = [n for n in (mark.source_id, *mark.shards) if not _NAME.fullmatch(n)]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no name of ours")
        if type(mark.frames) is not int or type(mark.file_id) is not str:
            raise ValueError("its values are of other kinds")
        return mark
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise DatasetError(
            f"{path}: not what segpipe forget writes ({error}); delete it, and forget the "
            "source again"
        ) from None


def marked_names(root: AnyPath, table: str) -> frozenset[str]:
    """The stems of a table's files that no longer count."""
    mark = read_mark(root)
    if mark is None:
        return frozenset()
    return frozenset({mark.source_id} if table == "sources" else mark.shards)
