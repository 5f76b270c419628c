"""The dataset that a job writes to: made or checked, and held."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from segpipe.core.config.job import Job
from segpipe.core.errors import DatasetError
from segpipe.runtime import stopping
from segpipe.runtime.files.atomic import make_folder
from segpipe.runtime.files.paths import AnyPath, path_of
from segpipe.store import Store, exclusive, make_manifest
from segpipe.store.manifest import Manifest

if TYPE_CHECKING:  # it brings torch, which a run that finds nothing new doesn't need
    from segpipe.inference.worker import SegmentationWorker


def store_for(job: Job, worker: SegmentationWorker) -> tuple[Store, Manifest]:
    """The dataset that a job may write to with a model, and its manifest."""
    stopping.check()
    worker.shrunk_from = 0  # a run says what happened in it
    spec = worker.segmenter.spec
    store = Store(output_folder(job), job.store, spec.classes)
    manifest = make_manifest(job, spec, worker.precision)
    store.check(manifest, job.replace)
    return store, manifest


@contextmanager
def held(job: Job, store: Store, manifest: Manifest) -> Iterator[None]:
    """Make the dataset, and hold it."""
    root = store.root
    try:
        make_folder(root)
    except OSError as error:
        raise DatasetError(
            f"{root}: the folder can't be made ({error.strerror}); choose another"
        ) from None
    with exclusive(root):
        store.prepare(manifest, job.replace)
        yield


def output_folder(job: Job) -> AnyPath:
    """Where the dataset lies: an absolute path, or a place on an object store. Raises
    ConfigError."""
    return path_of(job.output)
