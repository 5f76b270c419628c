"""How good a picture is to segment, and whether the frame is usable by the thresholds of the
config."""

from __future__ import annotations

import math
import threading
from dataclasses import asdict, dataclass

import cv2
import numpy as np

from segpipe.core.config.sections import QualitySettings
from segpipe.core.results import FrameResult
from segpipe.core.types import VOID, UInt8, Value, Values
from segpipe.inference.measures.base import Column, Measure, MeasureContext
from segpipe.inference.measures.regions import Regions

WIDTH = 640
"""Measured at this width, so that one threshold fits cameras of any resolution, and noise counts
less than blur."""
BLACK, WHITE = 4, 251


@dataclass(frozen=True, slots=True)
class Quality:
    """Measures of a picture's valid pixels, of the grey levels 0 to 255 at a width of 640: variance
    of the Laplacian, mean, standard deviation, and the share of pixels that are black or white."""

    sharpness: float
    brightness: float
    contrast: float
    saturated_fraction: float


_NAN = Quality(math.nan, math.nan, math.nan, math.nan)


class QualityMeter:
    """Measures pictures of one source; pixels that its regions ignore don't count."""

    def __init__(self, regions: Regions) -> None:
        self.regions = regions
        self._valid: dict[tuple[int, int], UInt8 | None] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[QualityMeter], tuple[Regions]]:
        # The masks are made anew where it is unpickled
        return QualityMeter, (self.regions,)

    def measure(self, rgb: UInt8) -> Quality:
        """Sharpness (variance of the Laplacian: Pech-Pacheco et al. 2000), brightness, contrast and
        saturation of a picture uint8 [H, W, 3]; all NaN where no pixel counts."""
        height, width = rgb.shape[:2]
        small = (min(WIDTH, width), max(1, round(height * min(1.0, WIDTH / width))))
        grey = cv2.cvtColor(
            rgb if small[0] == width else cv2.resize(rgb, small, interpolation=cv2.INTER_AREA),
            cv2.COLOR_RGB2GRAY,
        )
        mask = self._mask(height, width, small)
        count = grey.size if mask is None else cv2.countNonZero(mask)
        if not count:
            return _NAN
        mean, deviation = cv2.meanStdDev(grey, mask=mask)
        edges = cv2.Laplacian(grey, cv2.CV_16S)
        _, edge_deviation = cv2.meanStdDev(edges, mask=mask)
        histogram = cv2.calcHist([grey], [0], mask, [256], [0, 256])
        saturated = float(histogram[: BLACK + 1].sum() + histogram[WHITE:].sum()) / count
        return Quality(
            float(edge_deviation[0, 0]) ** 2, float(mean[0, 0]), float(deviation[0, 0]), saturated
        )

    def _mask(self, height: int, width: int, small: tuple[int, int]) -> UInt8 | None:
        """Which pixels of the small picture count, uint8 [h, w]; None where all do. One is kept for
        each size."""
        with self._lock:
            if (height, width) not in self._valid:
                ignored = self.regions.ignored(height, width).astype(np.uint8)
                shrunk = (
                    cv2.resize(ignored * 255, small, interpolation=cv2.INTER_AREA)
                    if ignored.any()
                    else None
                )
                # The Laplacian reaches one pixel further: the border of what is ignored would look
                # like an edge.
                grown = None if shrunk is None else cv2.dilate(shrunk, np.ones((3, 3), np.uint8))
                self._valid[height, width] = (
                    None if grown is None else np.asarray((grown == 0) * np.uint8(1), np.uint8)
                )
            return self._valid[height, width]


class PictureQuality(Measure):
    """How good the picture is; nothing where `quality.measure` is false."""

    columns = (
        Column("sharpness", "float64", "variance of the Laplacian at a width of 640 pixels"),
        Column("brightness", "float64", "mean grey level", "0 to 255"),
        Column("contrast", "float64", "standard deviation of the grey levels", "0 to 255"),
        Column("saturated_fraction", "float64", "share of pixels that are black or white", "1"),
    )

    def __init__(self, context: MeasureContext) -> None:
        super().__init__(context)
        self._meter = QualityMeter(context.regions)

    def of_picture(self, rgb: UInt8) -> Values:
        return asdict(self._meter.measure(rgb))


class QualityGate(Measure):
    """Says of frames, in their order, how much changed and whether they are usable."""

    columns = (
        Column(
            "changed_fraction",
            "float64",
            "share of valid pixels with another class than in the frame before; null for the "
            "first, after a failed one, and for images",
            "1",
        ),
        Column(
            "usable",
            "bool",
            "whether the frame passes every threshold of `quality`; false if it failed",
            nullable=False,
            of_failed=False,
        ),
    )

    def __init__(self, context: MeasureContext) -> None:
        super().__init__(context)
        self._before: UInt8 | None = None

    def of_frame(self, result: FrameResult) -> Values:
        changed = None if self._before is None else changed_fraction(self._before, result.labels)
        self._before = result.labels if self.context.in_sequence else None
        return {
            "changed_fraction": changed,
            "usable": usable(result, changed, self.context.quality),
        }

    def missed(self) -> None:
        self._before = None


def changed_fraction(before: UInt8, now: UInt8) -> float | None:
    """The share of the pixels, valid in both label maps, whose class differs; None where none is,
    or the sizes differ."""
    if before.shape != now.shape:
        return None
    valid = (before != VOID) & (now != VOID)
    count = int(np.count_nonzero(valid))
    return float(np.count_nonzero((before != now) & valid) / count) if count else None


def usable(result: FrameResult, changed: float | None, settings: QualitySettings) -> bool:
    """Whether every threshold holds; an unknown measure fails no frame, but one without
    valid pixels isn't usable."""
    picture, s = result.picture, result.statistics
    lowest = (
        (picture.get("sharpness"), settings.min_sharpness),
        (picture.get("brightness"), settings.min_brightness),
        (picture.get("contrast"), settings.min_contrast),
        (s.mean_confidence, settings.min_confidence),
    )
    highest = (
        (picture.get("brightness"), settings.max_brightness),
        (picture.get("saturated_fraction"), settings.max_saturated_fraction),
        (s.mean_entropy, settings.max_entropy),
        (changed, settings.max_changed_fraction),
    )
    too_low = any(limit is not None and _number(value) < limit for value, limit in lowest)
    too_high = any(limit is not None and _number(value) > limit for value, limit in highest)
    return bool(s.valid_pixels[0] > 0) and not too_low and not too_high


def _number(value: Value) -> float:
    """NaN, which is neither below nor above a threshold, where a value isn't known."""
    return math.nan if value is None else float(value)
