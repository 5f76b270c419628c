"""`evaluate`: any model on any labelled images, through the stages that a run goes through."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segpipe.core.config.job import Sampling
from segpipe.core.errors import SourceError
from segpipe.core.results import FrameResult
from segpipe.core.taxonomy import Taxonomy
from segpipe.core.types import Float32, Frame, FrameFailure, FrameRef, UInt8
from segpipe.inference.worker import SegmentationWorker
from segpipe.pipeline.lanes import Lanes
from segpipe.pipeline.stages import StageTimer, in_batches, prepare
from segpipe.sources import open_shard, shards_of
from segpipe.sources.video.names import found_video
from segpipe.training.data import Pair, find_pairs, read_pairs
from segpipe.training.data_settings import Folder
from segpipe.training.evaluation.mapping import ClassMapping, map_spec
from segpipe.training.evaluation.metrics import Tally, iou_of
from segpipe.training.label_files import decoded_labels, in_child

DRIVE = "drive.mp4"
LabelledPicture = tuple[Pair, UInt8, UInt8]
"""Where a labelled picture lies, its pixels uint8 [H, W, 3] and its true classes uint8 [H, W]."""


@dataclass(frozen=True, slots=True)
class LabelledData:
    """Labelled images to measure on: pairs of files, or a video with a label file for each frame
    (`segpipe sample`)."""

    name: str
    taxonomy: Taxonomy
    pairs: tuple[Pair, ...]
    video: Path | None = None

    def __len__(self) -> int:
        return len(self.pairs)

    def __iter__(self) -> Iterator[LabelledPicture]:
        """Each labelled picture."""
        if self.video is None:
            read = read_pairs(self.pairs, self.taxonomy)
            yield from ((pair, *found) for pair, found in zip(self.pairs, read, strict=True))
            return
        (count,) = in_child(frame_counts, [str(self.video)])
        if count != len(self.pairs):
            raise SourceError(
                f"{self.name}: {count} frames in {DRIVE}, but {len(self.pairs)} labels; render "
                "it again"
            )
        pictures = in_child(decoded_frames, [str(self.video)])
        labels = in_child(
            decoded_labels, [str(p.label) for p in self.pairs], self.taxonomy.encoding
        )
        for pair, rgb, label in zip(self.pairs, pictures, labels, strict=True):
            # One that can't be decoded is left out, and moves no other
            if rgb.size:
                yield pair, rgb, self.taxonomy.decode(label, str(pair.label))


def frame_counts(videos: Sequence[str]) -> Iterator[int]:
    """How many frames each video has."""
    for video in videos:
        shards = shards_of(found_video(Path(video)), Sampling(), 10**6)
        yield sum(shard.frame_count for shard in shards)


def decoded_frames(videos: Sequence[str]) -> Iterator[UInt8]:
    """The frames of videos, uint8 [H, W, 3]; one that can't be decoded has no pixels."""
    for video in videos:
        for shard in shards_of(found_video(Path(video)), Sampling(), 10**6):
            for frame in open_shard(shard, Sampling()):
                yield frame.rgb if isinstance(frame, Frame) else np.empty((0, 0, 3), np.uint8)


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
        # NaN: nothing in it could be compared.
        measured = [i for i in self.images if i.mean_iou == i.mean_iou]
        return tuple(sorted(measured, key=lambda i: (i.mean_iou, i.accuracy))[:count])


def labelled_data(folder: Folder, taxonomy: Taxonomy) -> LabelledData:
    """Find labelled images. Raises SourceError where there are none, or some have no label."""
    root = folder.place()
    video = root / DRIVE
    if folder.images is None and video.is_file():
        labels = sorted((root / "labels").glob("*.png"))
        if not labels:
            raise SourceError(
                f"{root}: {DRIVE}, but no labels/*.png beside it; render it again with "
                "segpipe sample"
            )
        return LabelledData(str(root), taxonomy, tuple(Pair(video, p) for p in labels), video)
    return LabelledData(str(root), taxonomy, tuple(find_pairs(folder)))


def evaluate(
    worker: SegmentationWorker,
    data: LabelledData,
    given: Mapping[str, str] | None = None,
    on_image: Callable[[], object] = lambda: None,
) -> Evaluation:
    """Measure a model: every picture once, at its own size, single scale, void ignored.

    Raises ConfigError where the classes don't fit, SourceError for a picture or label that can't be
    read.
    """
    spec = worker.segmenter.spec
    mapping = map_spec(spec, data.taxonomy, given)
    total, images = Tally(len(mapping.names)), []
    for (pair, _, classes), result in segmented(worker, data):
        tally = Tally(len(mapping.names))
        tally.add(mapping.of_truth[classes], mapping.of_model[result.labels], confidence_of(result))
        total.merge(tally)
        seen = tally.confusion.sum(1) > 0
        own = float(np.mean(iou_of(tally.confusion)[seen])) if seen.any() else float("nan")
        images.append(ImageScore(pair.image, pair.label, own, tally.accuracy))
        on_image()
    if not total.confusion.any():
        raise SourceError(
            f"{data.name}: no labelled pixel is of a class that can be compared "
            f"({', '.join(mapping.names)})"
        )
    return Evaluation(
        spec.source, spec.digest, parameters_of(worker), data.name, mapping, total, tuple(images)
    )


def segmented(
    worker: SegmentationWorker, data: Iterable[LabelledPicture]
) -> Iterator[tuple[LabelledPicture, FrameResult]]:
    """Each labelled picture with what the worker found, in order: through the stages that a run
    goes through. Raises SourceError for a picture that can't be segmented."""
    waiting: deque[LabelledPicture] = deque()

    def frames() -> Iterator[Frame]:
        for item in data:
            waiting.append(item)
            pair, rgb, _ = item
            yield Frame(FrameRef(str(pair.label), "", str(pair.image)), rgb)

    inputs = prepare(frames(), worker.segmenter.spec.preprocessing)
    groups = in_batches(inputs, lambda: worker.batch_size)
    for results in Lanes(worker, StageTimer(), confidence=True).results(groups):
        for result in results:
            item = waiting.popleft()
            if isinstance(result, FrameFailure):
                raise SourceError(f"{item[0].image}: {result.error}")
            yield item, result


def confidence_of(result: FrameResult) -> Float32:
    """Each label's confidence, float32 [H, W], of a result that was asked for it."""
    assert result.confidence is not None  # noqa: S101 - for mypy
    return result.confidence


def parameters_of(worker: SegmentationWorker) -> int:
    """Number of parameters of the worker's network; 0 for a segmenter without one."""
    return int(getattr(worker.segmenter, "parameter_count", 0))
