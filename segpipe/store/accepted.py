"""Which settings were accepted for a dataset: a run that finds nothing new needn't load the model
to find that out again.

To make a manifest the model has to be loaded, for its weights' digest and its classes. But all that
decides the manifest is in the job, and in the model's own files. So a run takes a digest of these
before it loads the model, and notes it in the index when the manifest that came of it was found to
be the dataset's. Another job, other weights or another `dataset.json` have another digest, and then
the model is loaded and the settings are compared. A model that is named by its id on a hub, or in a
library, counts by its name.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from pathlib import Path
from typing import Any

from segpipe.core.config.job import Job
from segpipe.core.errors import DatasetError
from segpipe.core.json_text import read_json
from segpipe.core.version import __version__
from segpipe.inference.models.own_files import own_files
from segpipe.runtime.files.atomic import make_folder, write_text
from segpipe.runtime.files.paths import AnyPath, read_bytes
from segpipe.store.index import FOLDER
from segpipe.store.lock import check_held
from segpipe.store.manifest import FILE as MANIFEST
from segpipe.store.manifest import decided_by_job
from segpipe.store.schema import SCHEMA_VERSION

FILE = "accepted.json"
_GPU = Path("/dev/nvidiactl")
log = logging.getLogger(__name__)


def settings_digest(job: Job) -> str:
    """Of all that decides the manifest of a job: its settings, and the model's files as they are
    now. To be taken before the model is loaded: the files may be replaced meanwhile."""
    content = {
        "segpipe": __version__,
        "schema": SCHEMA_VERSION,
        "job": decided_by_job(job),
        "model": job.model.model_dump(mode="json"),
        "files": [_state(path) for path in own_files(job.model.source)],
        "gpu": _gpu(),
    }
    return _digest(json.dumps(content, sort_keys=True).encode())


def is_accepted(root: AnyPath, settings: str) -> bool:
    """Whether a run made sure that settings of this digest are those of the dataset as it is. False
    where that isn't known: the model is loaded then, and nothing else is lost."""
    try:
        noted = read_json(read_bytes(root / FOLDER / FILE))
        return bool(noted == _note(root, settings))
    except (OSError, ValueError, DatasetError):
        return False


def remember_accepted(root: AnyPath, settings: str) -> None:
    """Note that settings of this digest are the dataset's: it must be held, and its manifest
    compared with the job's. What goes wrong is no error: the next run loads the model."""
    if is_accepted(root, settings):
        return
    try:
        make_folder(root / FOLDER)
        note = json.dumps(_note(root, settings))
        check_held(root)
        write_text(root / FOLDER / FILE, note + "\n")
    except (OSError, DatasetError):
        log.debug("%s: the settings couldn't be noted", root, exc_info=True)


def _note(root: AnyPath, settings: str) -> dict[str, str]:
    """Raises OSError without a manifest."""
    return {"settings": settings, "manifest": _digest(read_bytes(root / MANIFEST))}


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _state(path: Path) -> list[Any]:
    """A file's place and, where it is there, what changes when it is written."""
    name = os.fsencode(path.resolve()).hex()
    try:
        status = path.stat()
    except OSError:
        return [name]
    return [name, status.st_size, status.st_mtime_ns, status.st_ino]


def _gpu() -> list[Any]:
    """What an automatic precision follows, without torch: it is a part of the manifest."""
    return [_GPU.exists(), os.environ.get("CUDA_VISIBLE_DEVICES")]
