"""All measures of one source: of its pictures where they are read, and of what the model says of
them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segpipe.core.results import FrameResult
from segpipe.core.types import UInt8, Value, Values
from segpipe.inference.measures import table
from segpipe.inference.measures.base import Ints, Measure, MeasureContext


@dataclass(frozen=True, slots=True)
class MeasuredFrame:
    """A result and what was measured of it: `values` by the columns of `frames`, and of the N
    regions and classes that are present the places in the statistics, and `classes`, an array [N]
    for each measured column of `class_stats`."""

    result: FrameResult
    values: Values
    region: Ints
    class_id: Ints
    classes: dict[str, Ints]


@dataclass(frozen=True, slots=True)
class PictureMeter:
    """Measures full-size pictures; it travels to the process that reads them."""

    measures: tuple[Measure, ...]

    def measure(self, rgb: UInt8) -> Values:
        """What the measures say of a picture uint8 [H, W, 3]."""
        found: dict[str, Value] = {}
        for measure in self.measures:
            found.update(measure.of_picture(rgb))
        return found


def picture_meter(context: MeasureContext) -> PictureMeter | None:
    """What measures the pictures of a source; None where the settings ask for nothing."""
    if not context.quality.measure:
        return None
    return PictureMeter(tuple(measure(context) for measure in table.MEASURES))


class SourceMeasures:
    """Measures the results of one source in their order."""

    def __init__(self, context: MeasureContext) -> None:
        self.measures = tuple(measure(context) for measure in table.MEASURES)

    def of(self, result: FrameResult) -> MeasuredFrame:
        """What is measured of the next frame."""
        values: dict[str, Value] = dict(result.picture)
        region, class_id = np.nonzero(result.statistics.pixel_count)
        classes: dict[str, Ints] = {}
        for measure in self.measures:
            values.update(measure.of_frame(result))
            classes.update(measure.of_classes(result, region, class_id))
        return MeasuredFrame(result, values, region, class_id, classes)

    def missed(self) -> None:
        """The next frame failed: what changed since then can't be said."""
        for measure in self.measures:
            measure.missed()
