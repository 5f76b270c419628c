"""What the statistics say of each class in each region: the columns of `class_stats`."""

from __future__ import annotations

import numpy as np

from segpipe.core.results import FrameResult
from segpipe.inference.measures.base import Column, Ints, Kind, Measure

_INCLUSIVE = "in pixels of the frame, inclusive"
_LARGEST = "of the largest component"
_ATTRIBUTES = {"mean_confidence": "confidence", "largest_component_fraction": "largest"}
"""Columns whose name in the statistics is another."""


def _column(name: str, kind: Kind, meaning: str, unit: str = "px") -> Column:
    """Rows are those of classes that are present: nothing is null."""
    return Column(name, kind, meaning, unit, nullable=False)


class ClassMeasures(Measure):
    """Pixels, confidence, place and components of a class within a region."""

    class_columns = (
        _column("pixel_count", "int64", "pixels of the class in the region"),
        _column("valid_pixels", "int64", "pixels of the region that count"),
        _column("pixel_fraction", "float64", "pixel_count / valid_pixels", "1"),
        _column("mean_confidence", "float64", "mean probability of the class over its pixels", "1"),
        _column("x_min", "int32", f"leftmost column, {_INCLUSIVE}"),
        _column("y_min", "int32", f"top row, {_INCLUSIVE}"),
        _column("x_max", "int32", f"rightmost column, {_INCLUSIVE}"),
        _column("y_max", "int32", f"bottom row, {_INCLUSIVE}"),
        _column("centroid_x", "float64", "mean column of its pixels"),
        _column("centroid_y", "float64", "mean row of its pixels"),
        _column("components", "int32", "connected parts (8 neighbours)", "1"),
        _column("largest_component_fraction", "float64", f"share {_LARGEST} in pixel_count", "1"),
        _column("largest_x_min", "int32", f"leftmost column {_LARGEST}, {_INCLUSIVE}"),
        _column("largest_y_min", "int32", f"top row {_LARGEST}, {_INCLUSIVE}"),
        _column("largest_x_max", "int32", f"rightmost column {_LARGEST}, {_INCLUSIVE}"),
        _column("largest_y_max", "int32", f"bottom row {_LARGEST}, {_INCLUSIVE}"),
    )

    def of_classes(self, result: FrameResult, region: Ints, class_id: Ints) -> dict[str, Ints]:
        statistics = result.statistics
        found = {
            c.name: getattr(statistics, _ATTRIBUTES.get(c.name, c.name))[region, class_id]
            for c in self.class_columns
            if c.name not in {"valid_pixels", "pixel_fraction"}
        }
        found["valid_pixels"] = statistics.valid_pixels[region]
        found["pixel_fraction"] = found["pixel_count"] / found["valid_pixels"]
        return {
            c.name: found[c.name].astype(np.dtype(c.kind), copy=False) for c in self.class_columns
        }
