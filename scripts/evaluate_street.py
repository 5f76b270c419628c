"""Measure a model on labelled images, through segpipe's own worker: mean IoU, IoU of each class, pixel accuracy.

    python scripts/evaluate_street.py ../shared/data/camvid/val [--model builtin:street]
    python scripts/evaluate_street.py demo/footage                    # the sample drive

The folder holds `images/` and `labels/` with equal names, or a sample drive (`drive.mp4` and `labels/`). Labels outside the
model's classes are ignored. Single scale, at the labels' own size.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from segpipe.config import Sampling
from segpipe.frames import Frame, FrameBatch, FrameRef, ModelInput, UInt8
from segpipe.models import load
from segpipe.overlap import side_by_side
from segpipe.sources import open_shard, shards_of_video
from segpipe.sources.images import read_image
from segpipe.worker import SegmentationWorker


def pairs(folder: Path) -> Iterator[tuple[UInt8, UInt8]]:
    """Pictures uint8 [H, W, 3] and their true labels uint8 [H, W]."""
    names = sorted((folder / "labels").glob("*.png"))
    if (folder / "drive.mp4").exists():
        shards = shards_of_video(folder / "drive.mp4", Sampling(), 10**6)
        frames = (f.rgb for s in shards for f in open_shard(s, Sampling()) if isinstance(f, Frame))
    else:
        images = {p.stem: p for p in (folder / "images").iterdir()}
        frames = (read_image(images[n.stem]) for n in names)
    for name, rgb in zip(names, frames, strict=True):
        yield rgb, np.asarray(cv2.imread(str(name), cv2.IMREAD_GRAYSCALE), np.uint8)


def confusion_of(worker: SegmentationWorker, folder: Path) -> np.ndarray:
    """Counts of pixels by true class and found class, int64 [C, C]."""
    classes, prep = len(worker.segmenter.spec.classes), worker.segmenter.spec.preprocessing

    def count(pair: tuple[UInt8, UInt8]) -> np.ndarray:
        item = ModelInput(FrameRef("", "", ""), *prep.apply(pair[0]))
        found, truth = worker.run(FrameBatch((item,)))[0].labels, pair[1]
        known = (truth < classes) & (found < classes)
        flat = truth[known].astype(np.int64) * classes + found[known]
        return np.bincount(flat, minlength=classes**2).reshape(classes, classes)

    total = np.zeros((classes, classes), np.int64)
    for one in side_by_side(count, pairs(folder), worker.lanes, worker.enter_lane):
        total += one
    return total


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="builtin:street")
    args = parser.parse_args()
    worker = SegmentationWorker(load(args.model))
    confusion = confusion_of(worker, args.data)
    inside = np.diag(confusion)
    with np.errstate(invalid="ignore"):
        iou = inside / (confusion.sum(0) + confusion.sum(1) - inside)
    for c, value in zip(worker.segmenter.spec.classes, iou, strict=True):
        print(f"{c.name:12} {value * 100:6.2f} %")
    print(f"mean IoU     {np.nanmean(iou) * 100:6.2f} %   pixel accuracy {inside.sum() / confusion.sum() * 100:.2f} %")


if __name__ == "__main__":
    main()
