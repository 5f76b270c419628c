"""The footage with its masks and a legend, picture by picture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
import pyarrow as pa

from segpipe.core.config.job import Sampling
from segpipe.core.errors import DatasetError
from segpipe.core.types import VOID, Frame, FrameFailure, FrameRef, UInt8
from segpipe.inference.models.spec import ClassInfo
from segpipe.runtime import isolation
from segpipe.runtime.files.paths import AnyPath
from segpipe.sources import open_shard, source_of
from segpipe.sources.identity import what_changed
from segpipe.store.address import key_of
from segpipe.store.dataset import Dataset, mask_of
from segpipe.store.footage_roots import files_of, outside
from segpipe.store.reading import check_columns, parquet_file, read_groups, read_table
from segpipe.store.records import ShardRecord

OPACITY = 0.5
_MASK_COLUMNS = ["frame_id", "height", "width", "values", "lengths"]


@dataclass(frozen=True, slots=True)
class Segmented:
    """A frame and its labels: `rgb` uint8 [H, W, 3], `labels` uint8 [H, W]."""

    ref: FrameRef
    rgb: UInt8
    labels: UInt8


NOT_KEPT = "a stream's pictures aren't kept, only its masks: an overlay needs footage in files"


def source_ids(dataset: Dataset) -> list[str]:
    """The sources of a dataset that have masks and footage, in order."""
    kept = (
        r for r in dataset.records() if r.frames > r.failed and source_of(r.source.kind).replayable
    )
    return list(dict.fromkeys(r.source.source_id for r in kept))


def records_of(dataset: Dataset, source_id: str) -> list[ShardRecord]:
    """A source's shards in the order of time. Raises DatasetError for an unknown source or one
    without masks."""
    found = [
        r for r in dataset.records() if r.source.source_id == source_id and r.frames > r.failed
    ]
    if not found:
        known = ", ".join(source_ids(dataset)[:20]) or "none"
        raise DatasetError(
            f"no masks of a source {source_id!r} in {dataset.root}; there are: {known}"
        )
    if not source_of(found[0].source.kind).replayable:
        raise DatasetError(f"{source_id}: {NOT_KEPT}")
    return sorted(found, key=lambda r: (r.start, r.files[0].name))


def segmented(dataset: Dataset, source_id: str) -> Iterator[Segmented]:
    """Decode a source's frames again, each with its labels. Raises DatasetError where the footage
    has gone."""
    sampling = dataset.manifest.sampling
    for record in records_of(dataset, source_id):
        check_footage(dataset, record)
        masks = masks_of(dataset.root / "masks" / f"{record.name}.parquet")
        frame_id, labels = next(masks, ("", None))
        for frame in frames_again(record, sampling):
            # Frames and masks stand in the same order; a frame without a mask had failed.
            if isinstance(frame, Frame) and frame.ref.frame_id == frame_id and labels is not None:
                yield Segmented(frame.ref, frame.rgb, labels)
                frame_id, labels = next(masks, ("", None))


def frames_again(record: ShardRecord, sampling: Sampling) -> Iterator[Frame | FrameFailure]:
    """A shard's frames decoded anew, in a child process: a frame that crashed the decoder then will
    do so now. Raises ChildLost."""
    return (
        isolation.stream(open_shard, record.shard(), sampling)
        if isolation.POSSIBLE
        else open_shard(record.shard(), sampling)
    )


def masks_of(path: AnyPath) -> Iterator[tuple[str, UInt8]]:
    """The frame ids and label maps of a `masks` file, a row group in memory at a time. Raises
    DatasetError for a mask that is none."""
    with parquet_file(path) as file:
        check_columns(file, path, _MASK_COLUMNS)
        for group in range(file.num_row_groups):
            table = read_groups(file, [group], _MASK_COLUMNS)
            for row, frame_id in enumerate(table["frame_id"].to_pylist()):
                yield frame_id, _mask(path, table, row)


def _mask(path: AnyPath, table: pa.Table, row: int) -> UInt8:
    try:
        return mask_of(table, row)
    except ValueError as error:
        raise DatasetError(f"{path}: {error}; segpipe verify lists what is wrong") from None


def check_footage(dataset: Dataset, record: ShardRecord) -> None:
    """Raises DatasetError where a shard's footage has gone, is another than the one that was
    segmented, or lies where it isn't opened (`Dataset.may_open`)."""
    if not dataset.may_open(record):
        raise DatasetError(outside(files_of(record)[0]))
    for file in record.files:
        said = what_changed(file, key_of(record.source, file))
        if said:
            raise DatasetError(
                f"{file.uri} {said}, and the overlay needs it; name the folder where it lies now "
                "with --footage"
            )


def blend(rgb: UInt8, labels: UInt8, classes: tuple[ClassInfo, ...]) -> UInt8:
    """Lay class colours over a picture, with the borders between classes drawn fully; void stays as
    it is. Raises DatasetError where the labels are those of another size."""
    if rgb.shape[:2] != labels.shape:
        raise DatasetError(
            f"a mask of {labels.shape[0]} x {labels.shape[1]} pixels, and a picture of "
            f"{rgb.shape[0]} x {rgb.shape[1]}: segpipe verify lists what is wrong"
        )
    colours = np.zeros((VOID + 1, 3), np.uint8)
    colours[: len(classes)] = [c.colour for c in classes]
    painted = cv2.addWeighted(rgb, 1 - OPACITY, colours[labels], OPACITY, 0)
    edge = np.zeros(labels.shape, bool)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    painted[edge] = colours[labels[edge]]
    void = labels == VOID
    painted[void] = rgb[void]
    return np.asarray(painted, np.uint8)


def with_legend(
    picture: UInt8, labels: UInt8, classes: tuple[ClassInfo, ...], shown: list[int]
) -> UInt8:
    """Add a strip below a picture: a field of colour, name and share of the valid pixels for each
    shown class."""
    _height, width = picture.shape[:2]
    scale = max(0.45, width / 1700)
    line, box = round(34 * scale), round(15 * scale)
    cell = round(205 * scale)
    columns = max(1, width // cell)
    strip = np.full((line * -(-len(shown) // columns) + round(8 * scale), width, 3), 24, np.uint8)
    count = np.bincount(labels.reshape(-1), minlength=VOID + 1)
    valid = max(1, int(count[:VOID].sum()))
    for i, k in enumerate(shown):
        x, y = (i % columns) * cell + round(10 * scale), (i // columns) * line + round(10 * scale)
        cv2.rectangle(strip, (x, y), (x + box, y + box), classes[k].colour, -1)
        cv2.rectangle(strip, (x, y), (x + box, y + box), (200, 200, 200), 1)
        name = classes[k].name if len(classes[k].name) <= 12 else classes[k].name[:11] + "."
        text = f"{name} {count[k] / valid * 100:.0f}%"
        place = (x + box + round(6 * scale), y + round(13 * scale))
        cv2.putText(
            strip,
            text,
            place,
            cv2.FONT_HERSHEY_SIMPLEX,
            0.52 * scale,
            (235, 235, 235),
            max(1, round(scale)),
            cv2.LINE_AA,
        )
    return np.vstack([picture, strip])


def legend_classes(dataset: Dataset, source_id: str, most: int = 14) -> list[int]:
    """The classes that a legend shows: those with the most pixels of the source, in the order of
    their labels."""
    names = {f"{r.name}.parquet" for r in records_of(dataset, source_id)}
    total = np.zeros(VOID + 1, np.int64)
    for file in dataset.files("class_stats"):
        if file.name in names:
            table = read_table(file, ["class_id", "pixel_count"])
            labels, count = table["class_id"].to_numpy(), table["pixel_count"].to_numpy()
            known = (labels >= 0) & (labels < len(dataset.classes))
            np.add.at(total, labels[known], count[known])
    order = [int(k) for k in np.argsort(-total, kind="stable") if total[k] > 0]
    return sorted(order[:most])
