"""Which files of a folder are the sample drive's own: nothing else is overwritten or deleted."""

from __future__ import annotations

import re
from pathlib import Path

from segpipe.core.errors import DatasetError

LABELS, IMAGES = "labels", "images"
MARKS = {LABELS: ".segpipeignore", IMAGES: ".segpipe-sample"}
"""What a rendered folder holds beside its pictures. Labels are truth, not footage: `segpipe run`
passes over a folder with that file."""
_PICTURES = {LABELS: re.compile(r"\d{6}\.png"), IMAGES: re.compile(r"\d{6}\.jpg")}
_FILES = {"drive.mp4", "drive.tmp.mp4", "drive.gpx", "classes.json"}


def not_rendered(folder: Path, images: bool) -> list[str]:
    """What a folder holds that no sample drive wrote, by names below it, in order. A folder
    `images` of somebody else's counts only where `images` are to be rendered: else it isn't
    touched."""
    if not folder.is_dir():
        return []
    names = {path.name for path in folder.iterdir()}
    if not is_ours(folder / LABELS):
        return sorted(names)
    others = names - _FILES - {LABELS, IMAGES}
    for name in (LABELS, IMAGES):
        if is_ours(folder / name):
            own = {MARKS[name], *(path.name for path in pictures(folder / name))}
            others |= {f"{name}/{p.name}" for p in (folder / name).iterdir() if p.name not in own}
        elif images and name in names:
            others.add(name)
    return sorted(others)


def is_ours(folder: Path) -> bool:
    """Whether `labels` or `images` was made by a sample drive."""
    return (folder / MARKS[folder.name]).is_file()


def pictures(folder: Path) -> list[Path]:
    """The pictures that a sample drive wrote into its folder `labels` or `images`."""
    pattern = _PICTURES[folder.name]
    return [path for path in folder.iterdir() if pattern.fullmatch(path.name)]


def emptied(folder: Path) -> None:
    """Make the folder `labels` or `images`, or delete the pictures of an earlier drive in it.
    Raises DatasetError for a folder that holds what no sample drive wrote."""
    folder.mkdir(parents=True, exist_ok=True)
    if not is_ours(folder) and any(folder.iterdir()):
        raise DatasetError(f"{folder}: wasn't written by segpipe sample; name a new folder")
    (folder / MARKS[folder.name]).touch()
    for old in pictures(folder):
        old.unlink()
