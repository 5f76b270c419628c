"""The footage with its masks and a legend as an H.264 video that browsers play."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np

from segpipe.analysis.report.overlay import blend, legend_classes, segmented, with_legend
from segpipe.core.errors import DatasetError
from segpipe.core.types import UInt8
from segpipe.runtime.files.atomic import new_temp_file, temp_path
from segpipe.store.dataset import Dataset

SLIDE_S = 0.5
"""How long a picture of an image folder is shown."""
_TIME_BASE = Fraction(1, 90_000)


def write_overlay(
    dataset: Dataset, source_id: str, path: Path, on_frame: Callable[[], object] | None = None
) -> int:
    """Write a source's overlay video (H.264, yuv420p, fast start) with the frames' own times;
    returns the number of frames. Raises DatasetError; a video that couldn't be finished is not left
    behind."""
    if path.suffix.lower() not in {".mp4", ".mov", ".mkv"}:
        raise DatasetError(f"{path}: overlays are written as .mp4, .mov or .mkv")
    if any(path.resolve() == Path(r.source.uri) for r in dataset.records()):
        raise DatasetError(f"{path}: that is the footage itself; name another file for the overlay")
    aside = temp_path(path, path.suffix)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new_temp_file(path, path.suffix)
        with av.open(f"file:{aside}", "w", options={"movflags": "faststart"}) as container:
            count = _encode(container, dataset, source_id, on_frame)
        if not count:
            raise DatasetError(f"{source_id}: no frame of its footage could be decoded again")
        aside.replace(path)
    except OSError as error:
        raise DatasetError(
            f"{path}: the overlay can't be written ({error.strerror or error})"
        ) from None
    finally:
        aside.unlink(missing_ok=True)
    return count


def _encode(
    container: av.container.OutputContainer,
    dataset: Dataset,
    source_id: str,
    on_frame: Callable[[], object] | None,
) -> int:
    """Encode a source's frames with masks and legend; returns their number."""
    shown = legend_classes(dataset, source_id)
    encoder: _Encoder | None = None
    count = 0
    for item in segmented(dataset, source_id):
        picture = with_legend(
            blend(item.rgb, item.labels, dataset.classes), item.labels, dataset.classes, shown
        )
        encoder = encoder or _Encoder(container, picture.shape[0], picture.shape[1])
        encoder.add(picture, item.ref.pts_s, count)
        count += 1
        if on_frame:
            on_frame()
    if encoder:
        encoder.finish()
    return count


class _Encoder:
    def __init__(self, container: av.container.OutputContainer, height: int, width: int) -> None:
        self.container = container
        self.size = (width // 2 * 2, height // 2 * 2)  # yuv420p halves both edges
        self.stream = container.add_stream(
            "libx264", rate=30, options={"crf": "22", "preset": "veryfast"}
        )
        self.stream.width, self.stream.height = self.size
        self.stream.pix_fmt = "yuv420p"
        self.stream.codec_context.time_base = _TIME_BASE
        self.first_s: float | None = None

    def add(self, picture: UInt8, pts_s: float | None, number: int) -> None:
        if picture.shape[:2] != (self.size[1], self.size[0]):
            picture = np.asarray(
                cv2.resize(picture, self.size, interpolation=cv2.INTER_AREA), np.uint8
            )
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        time_s = number * SLIDE_S if pts_s is None else pts_s
        self.first_s = time_s if self.first_s is None else self.first_s
        frame.pts, frame.time_base = round((time_s - self.first_s) / _TIME_BASE), _TIME_BASE
        self.container.mux(self.stream.encode(frame))

    def finish(self) -> None:
        self.container.mux(self.stream.encode(None))
