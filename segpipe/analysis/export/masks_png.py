"""Masks as PNG: a file for each frame, its pixels the labels, its palette the classes' colours.

FOLDER/SOURCE/FRAME.png    FRAME is what follows the source in `frame_id`; of an image its file
                           name, and both where two images of a source have one name
FOLDER/masks.csv           frame_id and file: joins the pictures with `frames`
FOLDER/classes.csv         label, name, common name and colour of each class; 255 is void
"""

from __future__ import annotations

import csv
import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath

import pyarrow as pa
from PIL import Image

from segpipe.analysis.export.base import OnFrames
from segpipe.analysis.report.overlay import masks_of
from segpipe.core.errors import DatasetError, one_line
from segpipe.core.text import csv_text
from segpipe.core.types import VOID, UInt8
from segpipe.inference.models.spec import ClassInfo
from segpipe.sources import source_of
from segpipe.sources.ids import image_frame_id
from segpipe.store.dataset import Dataset

_SAFE_NAME = re.compile(r"[\w+=,@()-][\w .+=,@()-]{0,199}")
"""Names that every file system takes: a dataset may come from a stranger."""


def write_masks(dataset: Dataset, folder: Path, on_frames: OnFrames) -> int:
    """Write every mask of the dataset; the number of them. Raises DatasetError where there is none
    or one can't be read, OSError where the folder can't be written."""
    palette = palette_of(dataset.classes)
    _write_classes(dataset.classes, folder / "classes.csv")
    count = 0
    with (folder / "masks.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("frame_id", "file"))
        images = _image_names(dataset)
        for frame_id, labels in _masks(dataset):
            name = file_name(frame_id, images.get(frame_id, ""))
            path = folder / name
            path.parent.mkdir(exist_ok=True)
            picture = Image.fromarray(labels)
            picture.putpalette(palette)
            picture.save(path, "PNG", compress_level=3)
            table.writerow((frame_id, name))
            count += 1
            on_frames(1)
    if not count:
        raise DatasetError(f"{dataset.root}: no frame has a mask yet; run segpipe run first")
    return count


def palette_of(classes: Sequence[ClassInfo]) -> list[int]:
    """Red, green and blue of the 256 labels, one after the other; black where there is no class."""
    colours = [0] * (3 * (VOID + 1))
    for one in classes:
        colours[3 * one.id : 3 * one.id + 3] = one.colour
    return colours


def file_name(frame_id: str, image: str = "") -> str:
    """Where a frame's mask is, below the folder: SOURCE/FRAME.png, or SOURCE/IMAGE.png for one with
    a file name of its own. What no file system takes is replaced, and a digest of it is added."""
    source, _, frame = frame_id.partition(":")
    return f"{_safe(source)}/{_safe(image or frame)}.png"


def _image_names(dataset: Dataset) -> dict[str, str]:
    """What the images are called, by frame: each name once in its source, on file systems that
    don't tell capitals apart, too."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for record in dataset.records():
        if source_of(record.source.kind).files_are_frames:
            found[record.source.source_id] |= {f.name: PurePath(f.uri).name for f in record.files}
    names = {}
    for source_id, files in found.items():
        count = Counter(name.casefold() for name in files.values())
        for key, name in files.items():
            unique = name if count[name.casefold()] == 1 else f"{name}-{key}"
            names[image_frame_id(source_id, key)] = unique
    return names


def _safe(name: str) -> str:
    if _SAFE_NAME.fullmatch(name):
        return name
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=5).hexdigest()
    return re.sub(r"[^\w-]+", "_", name)[:100] + f"-{digest}"


def _masks(dataset: Dataset) -> Iterator[tuple[str, UInt8]]:
    """Frame ids and labels uint8 [H, W] of all masks, shard by shard."""
    for path in dataset.files("masks"):
        try:
            yield from masks_of(path)
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:
            raise DatasetError(
                f"{path}: can't be read ({one_line(error)}); segpipe verify lists what is wrong"
            ) from None


def _write_classes(classes: Sequence[ClassInfo], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(("class_id", "class_name", "common_name", "red", "green", "blue"))
        for one in classes:
            names = (csv_text(one.name), csv_text(one.common_name))
            table.writerow((one.id, *names, *one.colour))
        table.writerow((VOID, "void", "", 0, 0, 0))
