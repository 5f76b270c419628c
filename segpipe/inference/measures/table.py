"""The measures: a row each. Their columns stand in the tables in this order."""

from __future__ import annotations

from segpipe.inference.measures.base import Column, Measure
from segpipe.inference.measures.class_measures import ClassMeasures
from segpipe.inference.measures.frame_stats import FrameStatistics
from segpipe.inference.measures.quality import PictureQuality, QualityGate

MEASURES: tuple[type[Measure], ...] = (
    FrameStatistics,
    PictureQuality,
    QualityGate,
    ClassMeasures,
)


def frame_columns() -> tuple[Column, ...]:
    """The measured columns of `frames`."""
    return tuple(column for measure in MEASURES for column in measure.columns)


def class_columns() -> tuple[Column, ...]:
    """The measured columns of `class_stats`."""
    return tuple(column for measure in MEASURES for column in measure.class_columns)
