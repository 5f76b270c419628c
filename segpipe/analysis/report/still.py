"""One frame of a shard with its mask, as a picture that needs no file."""

from __future__ import annotations

import base64

import cv2

from segpipe.analysis.report.overlay import (
    blend,
    check_footage,
    frames_again,
    legend_classes,
    masks_of,
    with_legend,
)
from segpipe.core.errors import DatasetError
from segpipe.core.types import Frame, UInt8
from segpipe.store.dataset import Dataset
from segpipe.store.records import read_record

MAX_WIDTH = 960


def overlay_still(dataset: Dataset, shard_name: str) -> UInt8:
    """The first segmented frame of a shard with mask and legend, uint8 [H, W, 3]. Raises
    DatasetError."""
    (record,) = dataset.located([read_record(dataset.root / "frames" / f"{shard_name}.parquet")])
    check_footage(dataset, record)
    masks = masks_of(dataset.root / "masks" / f"{shard_name}.parquet")
    frame_id, labels = next(masks, ("", None))
    frames = frames_again(record, dataset.manifest.sampling)
    try:
        for frame in frames:
            if isinstance(frame, Frame) and frame.ref.frame_id == frame_id and labels is not None:
                shown = legend_classes(dataset, record.source.source_id)
                return with_legend(
                    blend(frame.rgb, labels, dataset.classes), labels, dataset.classes, shown
                )
    finally:
        frames.close()  # type: ignore[attr-defined]
    raise DatasetError(f"{shard_name}: no frame of it has a mask")


def overlay_data_uri(dataset: Dataset, shard_name: str) -> str:
    """The still as a JPEG in a data URI, at most MAX_WIDTH wide: it shows in a browser without a
    file server."""
    picture = overlay_still(dataset, shard_name)
    if picture.shape[1] > MAX_WIDTH:
        height = round(picture.shape[0] * MAX_WIDTH / picture.shape[1])
        picture = cv2.resize(picture, (MAX_WIDTH, height), interpolation=cv2.INTER_AREA)  # type: ignore[assignment]
    jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 80])[1]
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()
