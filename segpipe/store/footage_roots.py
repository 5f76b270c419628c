"""From where footage may be opened again: a dataset says where its footage lies, and it may be
somebody else's.

A stranger's record may name any file of this machine, and a report would show it. So nothing in a
dataset decides what is opened. Footage is opened where the user named its folder (`--footage`), and
where his own runs into this very folder found it. The latter is noted outside of all datasets, in
the user's state folder, which a dataset that came by mail can't write to.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
from collections.abc import Iterable
from pathlib import Path, PurePath

from segpipe.core.errors import DatasetError
from segpipe.core.json_text import read_json
from segpipe.runtime.files.atomic import write_text
from segpipe.runtime.files.paths import AnyPath
from segpipe.runtime.files.plain import read_plain
from segpipe.sources.places import path_at
from segpipe.store.records import ShardRecord

MOST_ROOTS = 1000
_here: dict[str, set[str]] = {}
"""What this process noted, by dataset: the state folder may not be writable."""
log = logging.getLogger(__name__)


def note_roots(root: AnyPath, roots: Iterable[str]) -> None:
    """Note that the user had a run into a dataset read these folders and files. What goes wrong is
    no error: `--footage` names them."""
    new = {os.path.realpath(r) for r in roots}
    known = set(noted_roots(root))
    _here.setdefault(str(root), set()).update(new)
    if new <= known:
        return
    note = {"dataset": str(root), "roots": _topmost(known | new)}
    file = _file(root)
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_text(file, json.dumps(note, indent=1) + "\n")
    except OSError:
        log.debug("%s: where the footage lies couldn't be noted", root, exc_info=True)


def noted_roots(root: AnyPath) -> list[str]:
    """The folders and files that the user's own runs into a dataset read."""
    roots: set[str] = set(_here.get(str(root), ()))
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, DatasetError):
        note = read_json(read_plain(_file(root)))
        if note["dataset"] == str(root):
            roots |= {r for r in note["roots"] if type(r) is str and os.path.isabs(r)}
    return sorted(roots)


def is_within(uri: str, roots: frozenset[str]) -> bool:
    """Whether a file lies in one of the folders, links followed, or is one of them. A path that
    says that it lies elsewhere isn't looked at."""
    if not os.path.isabs(uri):
        return False
    path = path_at(uri)
    return _below_one(os.path.normpath(path), roots) and _below_one(os.path.realpath(path), roots)


def _below_one(path: str, roots: frozenset[str]) -> bool:
    return path in roots or any(str(p) in roots for p in PurePath(path).parents)


def files_of(record: ShardRecord) -> list[str]:
    """The addresses of a shard's footage."""
    return [f.uri or record.source.uri for f in record.files]


def outside(uri: str) -> str:
    """What is said of footage that isn't opened."""
    return (
        f"{uri} isn't opened: the dataset names it, and no run of yours into this folder read it; "
        f"if it is footage of yours, name its folder: --footage {os.path.dirname(uri) or '.'}"
    )


def _topmost(roots: set[str]) -> list[str]:
    """The folders without those that lie in others; above `MOST_ROOTS`, the folders of files."""
    if len(roots) > MOST_ROOTS:
        # What isn't there may have been a folder, and what lies around it is none of it
        roots = {os.path.dirname(r) if os.path.isfile(r) else r for r in roots}
    kept = frozenset(roots)
    return sorted(r for r in roots if not _below_one(os.path.dirname(r), kept - {r}))


def _file(root: AnyPath) -> Path:
    state = os.environ.get("XDG_STATE_HOME") or os.path.expanduser("~/.local/state")
    name = hashlib.blake2b(str(root).encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()
    return Path(state) / "segpipe" / "footage" / f"{name}.json"
