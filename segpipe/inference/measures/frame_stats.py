"""What the statistics say of the whole frame."""

from __future__ import annotations

from segpipe.core.results import FrameResult
from segpipe.core.types import Values
from segpipe.inference.measures.base import Column, Measure


class FrameStatistics(Measure):
    """How many pixels count, and how sure the model is of them."""

    columns = (
        Column("valid_pixels", "int64", "pixels that the model saw and that aren't ignored", "px"),
        Column("mean_confidence", "float64", "mean probability of valid pixels' labels", "1"),
        Column("mean_entropy", "float64", "mean entropy of valid pixels' probabilities", "nat"),
    )

    def of_frame(self, result: FrameResult) -> Values:
        statistics = result.statistics
        return {
            "valid_pixels": int(statistics.valid_pixels[0]),
            "mean_confidence": statistics.mean_confidence,
            "mean_entropy": statistics.mean_entropy,
        }
