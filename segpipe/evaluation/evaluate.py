"""`evaluate`: any model on any labelled images, through the worker that the pipeline uses."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segpipe.config import Sampling
from segpipe.errors import SourceError
from segpipe.evaluation.mapping import ClassMapping, map_classes
from segpipe.evaluation.metrics import Tally, iou_of
from segpipe.frames import VOID, Float32, Frame, FrameRef, ModelInput, UInt8
from segpipe.overlap import side_by_side
from segpipe.sources import open_shard, shards_of_video
from segpipe.taxonomy import Taxonomy
from segpipe.training.data import Pair, find_pairs, read_label, read_pair
from segpipe.training.settings import Folder
from segpipe.upsampling import axes
from segpipe.worker import SegmentationWorker

DRIVE = "drive.mp4"


@dataclass(frozen=True, slots=True)
class LabelledData:
    """Labelled images to measure on: pairs of files, or a video with a label file for each frame (`segpipe sample`)."""

    name: str
    taxonomy: Taxonomy
    pairs: tuple[Pair, ...]
    video: Path | None = None

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[tuple[Pair, UInt8, UInt8]]:
        """Each pair with its picture uint8 [H, W, 3] and its classes uint8 [H, W]."""
        if self.video is None:
            yield from ((pair, *read_pair(pair, self.taxonomy)) for pair in self.pairs)
            return
        shards = list(shards_of_video(self.video, Sampling(), 10**6))
        count = sum(s.frame_count for s in shards)
        if count != len(self.pairs):
            raise SourceError(f"{self.name}: {count} frames in {DRIVE}, but {len(self.pairs)} labels; render it again")
        for pair, frame in zip(self.pairs, (f for s in shards for f in open_shard(s, Sampling())), strict=True):
            if isinstance(frame, Frame):  # one that can't be decoded is left out, and moves no other
                yield pair, frame.rgb, read_label(pair.label, self.taxonomy)


@dataclass(frozen=True, slots=True)
class ImageScore:
    """One picture: its own mean IoU and accuracy, both 0 to 1."""

    image: Path
    label: Path
    mean_iou: float
    accuracy: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """A model measured on a data set."""

    model: str
    digest: str
    parameters: int
    data: str
    mapping: ClassMapping
    tally: Tally
    images: tuple[ImageScore, ...]

    def worst(self, count: int) -> tuple[ImageScore, ...]:
        """The pictures with the lowest mean IoU, the worst first."""
        measured = [i for i in self.images if i.mean_iou == i.mean_iou]  # NaN: nothing in it could be compared
        return tuple(sorted(measured, key=lambda i: (i.mean_iou, i.accuracy))[:count])


def labelled_data(folder: Folder, taxonomy: Taxonomy) -> LabelledData:
    """Find labelled images. Raises SourceError where there are none, or some have no label."""
    root = Path(folder.root).expanduser()
    video = root / DRIVE
    if folder.images is None and video.is_file():
        labels = sorted((root / "labels").glob("*.png"))
        if not labels:
            raise SourceError(f"{root}: {DRIVE}, but no labels/*.png beside it; render it again with segpipe sample")
        return LabelledData(str(root), taxonomy, tuple(Pair(video, p) for p in labels), video)
    return LabelledData(str(root), taxonomy, tuple(find_pairs(folder)))


def evaluate(
    worker: SegmentationWorker,
    data: LabelledData,
    given: Mapping[str, str] | None = None,
    on_image: Callable[[], object] = lambda: None,
) -> Evaluation:
    """Measure a model: every picture once, at its own size, single scale, void ignored.

    Raises ConfigError where the classes don't fit, SourceError for a picture or label that can't be read.
    """
    spec = worker.segmenter.spec
    mapping = map_classes([c.name for c in spec.classes], data.taxonomy, given)

    def count(item: tuple[Pair, UInt8, UInt8]) -> tuple[Pair, Tally]:
        pair, rgb, classes = item
        found, confidence = segment(worker, rgb)
        tally = Tally(len(mapping.names))
        tally.add(mapping.of_truth[classes], mapping.of_model[found], confidence)
        return pair, tally

    total, images = Tally(len(mapping.names)), []
    for pair, tally in side_by_side(count, data, worker.lanes, worker.enter_lane):
        total.merge(tally)
        seen = tally.confusion.sum(1) > 0
        own = float(np.mean(iou_of(tally.confusion)[seen])) if seen.any() else float("nan")
        images.append(ImageScore(pair.image, pair.label, own, tally.accuracy))
        on_image()
    if not total.confusion.any():
        raise SourceError(f"{data.name}: no labelled pixel is of a class that can be compared ({', '.join(mapping.names)})")
    return Evaluation(spec.source, spec.digest, parameters_of(worker), data.name, mapping, total, tuple(images))


def segment(worker: SegmentationWorker, rgb: UInt8) -> tuple[UInt8, Float32]:
    """A picture's labels uint8 [H, W] and their confidence float32 [H, W] (0 where a crop left the picture out).

    Confidence is what the dataset stores: the probability at the network's sample nearest to the pixel.
    """
    item = ModelInput(FrameRef("", "", ""), *worker.segmenter.spec.preprocessing.apply(rgb))
    result, probabilities = worker.examine(item)
    ys, xs = axes(item.view, *item.pixels.shape[:2], *probabilities.shape[:2])
    confidence = np.zeros(result.labels.shape, np.float32)
    v = item.view
    seen = np.minimum(result.labels[v.y0 : v.y1, v.x0 : v.x1], probabilities.shape[2] - 1)
    confidence[v.y0 : v.y1, v.x0 : v.x1] = probabilities[ys.nearest[:, None], xs.nearest[None, :], seen]
    confidence[result.labels == VOID] = 0.0
    return result.labels, confidence


def parameters_of(worker: SegmentationWorker) -> int:
    """Number of parameters of the worker's network; 0 for a segmenter without one."""
    return int(getattr(worker.segmenter, "parameter_count", 0))
