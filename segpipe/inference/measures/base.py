"""What a measure is: it declares its columns, each with meaning and unit, and computes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from numpy.typing import NDArray

from segpipe.core.config.sections import QualitySettings
from segpipe.core.results import FrameResult
from segpipe.core.types import UInt8, Value, Values
from segpipe.inference.measures.regions import NO_REGIONS, Regions

Kind = Literal["bool", "int32", "int64", "float64", "string"]
Ints = NDArray[Any]
"""Whole numbers [N]."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table. Where there is no `unit`, the meaning says all."""

    name: str
    kind: Kind
    meaning: str
    unit: str = ""
    nullable: bool = True
    of_failed: Value = None
    """What a failed frame has in it: null, unless the column has no nulls."""


@dataclass(frozen=True, slots=True)
class MeasureContext:
    """What a measure may need to know of a source. `in_sequence`: whether one frame follows on the
    other, as in a video; photographs don't."""

    regions: Regions = NO_REGIONS
    quality: QualitySettings = field(default_factory=QualitySettings)
    in_sequence: bool = False


class Measure:
    """Measures the frames of one source; a subclass declares columns and overrides what fills them.

    It is made once for a source, and is pickled for the process that reads pictures.
    """

    columns: ClassVar[tuple[Column, ...]] = ()
    """Its columns of `frames`: filled by `of_picture` or `of_frame`."""
    class_columns: ClassVar[tuple[Column, ...]] = ()
    """Its columns of `class_stats`: filled by `of_classes`."""

    def __init__(self, context: MeasureContext) -> None:
        self.context = context

    def of_picture(self, rgb: UInt8) -> Values:
        """What the picture uint8 [H, W, 3] says before it is resized. Runs where frames are read,
        and not at all where `quality.measure` is false."""
        return {}

    def of_frame(self, result: FrameResult) -> Values:
        """What labels, statistics and `result.picture` say. Called on one thread, in the order of
        the source."""
        return {}

    def of_classes(self, result: FrameResult, region: Ints, class_id: Ints) -> dict[str, Ints]:
        """An array [N] for each of `class_columns`: the values of N regions and classes that are
        present, given by their places in `result.statistics`."""
        return {}

    def missed(self) -> None:
        """The next frame failed."""
        return
