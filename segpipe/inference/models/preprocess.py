"""A model's own preprocessing: size, crop, padding, interpolation here; mean and deviation on the
device."""

from __future__ import annotations

import math
from dataclasses import dataclass
from importlib import import_module
from typing import Literal

import cv2
import numpy as np

from segpipe.core.errors import ModelError
from segpipe.core.types import InputGeometry, UInt8

Interpolation = Literal["nearest", "linear", "cubic", "area", "lanczos"]
_OPENCV = {
    "nearest": cv2.INTER_NEAREST,
    "linear": cv2.INTER_LINEAR,
    "cubic": cv2.INTER_CUBIC,
    "area": cv2.INTER_AREA,
    "lanczos": cv2.INTER_LANCZOS4,
}
_TORCHVISION = {
    "nearest": "nearest",
    "linear": "bilinear",
    "cubic": "bicubic",
    "lanczos": "lanczos",
}
"""Those that torchvision's resize has for tensors: an area's mean isn't among them."""


MAX_EDGES = {
    "height": 16_384,
    "width": 16_384,
    "shortest_edge": 4096,
    "longest_edge": 16_384,
    "multiple_of": 1024,
    "crop_height": 16_384,
    "crop_width": 16_384,
    "pad_height": 16_384,
    "pad_width": 16_384,
}
"""Longest edges of a network's input, in pixels."""
MAX_PIXELS = 64_000_000
"""Pixels of a network's input at most."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a frame becomes the network's input.

    Size: exactly `height` x `width`, or the shorter edge to `shortest_edge` (the longer at most
    `longest_edge`), or the frame's own; then both edges to a multiple of `multiple_of` (`rounding`
    nearest or up), which changes the aspect a little. Then a central crop, then zero padding to the
    right and below. `backend` names whose resize the model was trained with: OpenCV's, or
    torchvision's antialiased one, which is Pillow's. Normalisation is (pixel * scale - mean) / std.
    """

    height: int | None = None
    width: int | None = None
    shortest_edge: int | None = None
    longest_edge: int | None = None
    multiple_of: int = 1
    rounding: Literal["nearest", "up"] = "nearest"
    interpolation: Interpolation = "linear"
    backend: Literal["opencv", "torchvision"] = "opencv"
    crop_height: int | None = None
    crop_width: int | None = None
    pad_height: int | None = None
    pad_width: int | None = None
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)
    scale: float = 1.0

    def __post_init__(self) -> None:
        for name, allowed in (
            ("interpolation", _OPENCV),
            ("backend", ("opencv", "torchvision")),
            ("rounding", ("nearest", "up")),
        ):
            if getattr(self, name) not in allowed:
                raise ModelError(
                    f"preprocessing: {name} {getattr(self, name)!r}; allowed are "
                    f"{', '.join(allowed)}"
                )
        if self.backend == "torchvision" and self.interpolation not in _TORCHVISION:
            raise ModelError(
                f"preprocessing: interpolation {self.interpolation!r} with backend 'torchvision'; "
                f"allowed with it are {', '.join(_TORCHVISION)}; backend 'opencv' has area too"
            )
        self._check_sizes()
        if self.multiple_of < 1 or any(len(v) != 3 for v in (self.mean, self.std)) or 0 in self.std:
            raise ModelError(
                "preprocessing: multiple_of is at least 1, mean and std have three numbers, and "
                "no std is 0"
            )

    def _check_sizes(self) -> None:
        for name, most in MAX_EDGES.items():
            edge = getattr(self, name)
            if edge is not None and (type(edge) is not int or not 1 <= edge <= most):
                raise ModelError(
                    f"preprocessing: {name} is {str(edge)[:40]}; allowed are 1 to {most} pixels"
                )
        for height, width in (
            (self.height, self.width),
            (self.crop_height, self.crop_width),
            (self.pad_height, self.pad_width),
        ):
            if (pixels := (height or 0) * (width or 0)) > MAX_PIXELS:
                raise ModelError(
                    f"preprocessing: {height} x {width} = {pixels} pixels; at most {MAX_PIXELS} "
                    "are allowed"
                )

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after resizing, before crop and padding."""
        h, w = float(height), float(width)
        if self.height and self.width:
            h, w = self.height, self.width
        elif self.shortest_edge:
            edge = float(self.shortest_edge)
            if self.longest_edge and edge * max(h, w) / min(h, w) > self.longest_edge:
                edge = self.longest_edge * min(h, w) / max(h, w)
            # The shorter edge is exact and the longer is cut to whole pixels, as torchvision and
            # transformers do.
            short, long = round(edge), int(edge * max(h, w) / min(h, w))
            h, w = (short, long) if height <= width else (long, short)
        return self._to_multiple(h), self._to_multiple(w)

    def _to_multiple(self, size: float) -> int:
        steps = size / self.multiple_of
        return (
            max(1, math.ceil(steps) if self.rounding == "up" else round(steps)) * self.multiple_of
        )

    def apply(self, rgb: UInt8) -> tuple[UInt8, InputGeometry]:
        """Resize, crop and pad a frame uint8 [H, W, 3]; returns the input uint8 [h, w, 3] and the
        frame's view."""
        height, width = rgb.shape[:2]
        h, w = self.resized(height, width)
        pixels = rgb if (h, w) == (height, width) else self._resize(rgb, h, w)
        top, left = 0, 0
        if self.crop_height and self.crop_width:
            pixels, top, left = _centre_crop(pixels, self.crop_height, self.crop_width)
        shown_h, shown_w = pixels.shape[:2]
        if self.pad_height and self.pad_width:
            pixels = _pad(pixels, self.pad_height, self.pad_width)
        scale_y, scale_x = h / height, w / width
        y0, y1 = _seen(height, scale_y, top, shown_h)
        x0, x1 = _seen(width, scale_x, left, shown_w)
        return pixels, InputGeometry(height, width, scale_y, scale_x, -top, -left, y0, x0, y1, x1)

    def get_ready(self) -> None:
        """Import what `apply` needs: torchvision takes seconds."""
        if self.backend == "torchvision":
            import_module("torchvision.transforms.v2")

    def _resize(self, rgb: UInt8, height: int, width: int) -> UInt8:
        if self.backend == "opencv":
            return cv2.resize(rgb, (width, height), interpolation=_OPENCV[self.interpolation])  # type: ignore[return-value]
        import torch
        from torchvision.transforms import InterpolationMode
        from torchvision.transforms.v2 import functional

        image = torch.from_numpy(rgb).permute(2, 0, 1)
        mode = InterpolationMode(_TORCHVISION[self.interpolation])
        resized = functional.resize(image, [height, width], interpolation=mode, antialias=True)
        return np.asarray(resized.permute(1, 2, 0).contiguous().numpy(), np.uint8)


def _centre_crop(pixels: UInt8, height: int, width: int) -> tuple[UInt8, int, int]:
    """The central part; an edge that is shorter than the crop is padded with zeros around, as
    torchvision does."""
    h, w = pixels.shape[:2]
    if h < height or w < width:
        raise ModelError(
            f"the model crops {height} x {width} out of {h} x {w} pixels: its preprocessing "
            "doesn't fit itself"
        )
    top, left = (h - height) // 2, (w - width) // 2
    return np.ascontiguousarray(pixels[top : top + height, left : left + width]), top, left


def _pad(pixels: UInt8, height: int, width: int) -> UInt8:
    h, w = pixels.shape[:2]
    if h > height or w > width:
        raise ModelError(
            f"the model pads to {height} x {width}, but its resized input is {h} x {w}"
        )
    return cv2.copyMakeBorder(
        pixels, 0, height - h, 0, width - w, cv2.BORDER_CONSTANT, value=(0, 0, 0)
    )  # type: ignore[return-value]


def _seen(size: int, scale: float, offset: int, shown: int) -> tuple[int, int]:
    """First and last (half-open) pixel of the frame whose centre lies in the shown part of the
    resized frame."""
    first = math.ceil(offset / scale - 0.5)
    last = math.ceil((offset + shown) / scale - 0.5)
    return max(0, first), min(size, last)
