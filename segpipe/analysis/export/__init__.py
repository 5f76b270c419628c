"""Datasets as files of other programs: the name after `--format` is one of `EXPORTS`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from segpipe.analysis.export.base import Export, OnFrames, WriteFiles
from segpipe.core.errors import ConfigError
from segpipe.core.extras import require

if TYPE_CHECKING:
    from segpipe.store.dataset import Dataset

__all__ = ["EXPORTS", "Export", "export_dataset"]


def _masks_png() -> WriteFiles:
    from segpipe.analysis.export.masks_png import write_masks

    return write_masks


EXPORTS: dict[str, Export] = {
    "masks-png": Export("the masks as PNGs of labels in the classes' colours", _masks_png),
}
"""A row for each kind of export: its name, and what loads it."""


def export_dataset(
    dataset: Dataset,
    kind: str,
    folder: Path,
    force: bool = False,
    on_frames: OnFrames = lambda count: None,
) -> int:
    """Export a dataset into a new or empty folder, whole or not at all; the number of frames in it.
    With `force` an earlier export there is replaced.

    Raises ConfigError for an unknown kind, a missing extra, or a folder with other things in it,
    DatasetError where the dataset can't be read or the folder can't be written.
    """
    if kind not in EXPORTS:
        raise ConfigError(f"export {kind!r} is unknown; allowed are {', '.join(EXPORTS)}")
    if EXPORTS[kind].extra:
        require(EXPORTS[kind].extra, f"the export {kind}")
    from segpipe.analysis.export.folder import complete_folder

    with complete_folder(folder, kind, force) as empty:
        return EXPORTS[kind].load()(dataset, empty, on_frames)
