"""What a run that left nothing to do found: the next run of the same job over the same footage
needs no more than this to know that there is nothing new."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping

from segpipe.core.errors import DatasetError
from segpipe.core.json_text import read_json
from segpipe.runtime.files.atomic import make_folder, write_text
from segpipe.runtime.files.listing import list_states
from segpipe.runtime.files.paths import AnyPath, read_bytes
from segpipe.store.index import FOLDER
from segpipe.store.lock import check_held

FILE = "finished.json"
_MOST_BYTES = 2**30
"""It names each source."""
log = logging.getLogger(__name__)


def remember_finished(root: AnyPath, job: str, sources: Mapping[str, str]) -> None:
    """Note that nothing was left to do of a job with the digest `job`, and what its sources were:
    by id, the key of their metadata. The dataset must be held. What goes wrong is no error: the
    next run looks at everything."""
    try:
        state = _state(root)
        if not state:
            return
        make_folder(root / FOLDER)
        content = {"job": job, "state": state, "sources": dict(sources)}
        check_held(root)
        write_text(root / FOLDER / FILE, json.dumps(content) + "\n")
    except (OSError, DatasetError):
        log.debug("%s: the end of the run couldn't be noted", root, exc_info=True)


def finished_sources(root: AnyPath, job: str) -> dict[str, str]:
    """The sources of the last run of this job that left nothing to do, as they were noted; none
    where another run came after it, or the dataset's files have changed since."""
    try:
        content = read_json(read_bytes(root / FOLDER / FILE, _MOST_BYTES))
        if content["job"] == job and content["state"] == _state(root):
            return {str(k): str(v) for k, v in content["sources"].items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, DatasetError):
        pass
    return {}


def _state(root: AnyPath) -> str:
    """A digest of which files of shards and sources there are, and of which writing; empty where
    that can't be told."""
    digest = hashlib.blake2b(digest_size=16)
    for table in ("frames", "sources"):
        for state in list_states(root / table, ".parquet"):
            if not state.mark:
                return ""
            digest.update(f"{table}/{state.name} {state.size_bytes} {state.mark}\n".encode())
    return digest.hexdigest()
