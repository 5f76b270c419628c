"""Make docs/overlay.jpg: a frame of the sample drive with its mask and legend (after make demo)."""

from __future__ import annotations

from pathlib import Path

import cv2

from segpipe.analysis.report.overlay import (
    blend,
    legend_classes,
    segmented,
    source_ids,
    with_legend,
)
from segpipe.store import open_dataset

SECOND = 3.0


def main() -> None:
    dataset = open_dataset("demo/dataset")
    source = source_ids(dataset)[0]
    item = next(i for i in segmented(dataset, source) if (i.ref.pts_s or 0.0) >= SECOND)
    half = blend(item.rgb, item.labels, dataset.classes)
    # The footage beside what was made of it.
    half[:, : half.shape[1] // 2] = item.rgb[:, : half.shape[1] // 2]
    picture = with_legend(half, item.labels, dataset.classes, legend_classes(dataset, source))
    path = Path("docs/overlay.jpg")
    cv2.imwrite(str(path), picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    print(path)


if __name__ == "__main__":
    main()
