"""A toy engine and a toy measure, added through their tables alone: `python -m
tests.inference.toys` is segpipe with them."""

from __future__ import annotations

import sys

import numpy as np

from segpipe.core.config.sections import ModelSettings, WorkerSettings
from segpipe.core.results import FrameResult
from segpipe.core.types import Float32, UInt8, Values
from segpipe.inference.engines import ENGINES, Engine
from segpipe.inference.measures import table
from segpipe.inference.measures.base import Column, Ints, Measure
from segpipe.inference.models import Segmenter


class HalvesEngine(Engine):
    """Knows no pixels: class 1 is left of the middle, class 3 right of it."""

    precision = "int1"

    def logits(self, pixels: UInt8) -> Float32:
        count, _, width, _ = pixels.shape
        found = np.zeros((count, 4, width // 4, len(self.spec.classes)), np.float32)
        found[:, :, : width // 8, 1] = found[:, :, width // 8 :, 3] = 9.0
        return found


class Redness(Measure):
    """One column of the picture, one of the labels, and one of each class."""

    columns = (
        Column("redness", "float64", "mean red level", "0 to 255"),
        Column("labels_seen", "int32", "different labels in the frame", "1"),
    )
    class_columns = (Column("class_share_text", "string", "share in words", nullable=False),)

    def of_picture(self, rgb: UInt8) -> Values:
        return {"redness": float(rgb[..., 0].mean())}

    def of_frame(self, result: FrameResult) -> Values:
        return {"labels_seen": len(np.unique(result.labels))}

    def of_classes(self, result: FrameResult, region: Ints, class_id: Ints) -> dict[str, Ints]:
        statistics = result.statistics
        share = statistics.pixel_count[region, class_id] / statistics.valid_pixels[region]
        return {"class_share_text": np.array([f"{s:.0%}" for s in share])}


def halves(segmenter: Segmenter, settings: ModelSettings, sizes: WorkerSettings) -> Engine:
    return HalvesEngine(segmenter.spec, sizes)


if __name__ == "__main__":
    # By its importable name, so that the process that reads pictures finds it.
    from tests.inference import toys

    ENGINES["halves"] = toys.halves
    table.MEASURES = (*table.MEASURES, toys.Redness)
    from segpipe.cli import main

    sys.exit(main(sys.argv[1:]))
