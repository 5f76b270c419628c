"""Decoded images as upright RGB, a strip at a time: a photograph of 64 million pixels takes no
second copy of itself on the way."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from PIL import Image

from segpipe.core.errors import SourceError
from segpipe.core.types import UInt8

_ORIENTATION = 0x0112
_ACROSS = frozenset({5, 6, 7, 8})
_CODED: dict[int, Callable[[UInt8], UInt8]] = {
    2: lambda upright: upright[:, ::-1],
    3: lambda upright: upright[::-1, ::-1],
    4: lambda upright: upright[::-1],
    5: lambda upright: upright.transpose(1, 0, 2),
    6: lambda upright: np.rot90(upright),
    7: lambda upright: upright.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda upright: np.rot90(upright, -1),
}
"""By EXIF's orientation: a view of an upright picture [H, W, 3] in which the pixels lie as the file
codes them. `_ACROSS` are those whose rows are columns."""
_STRIP_PIXELS = 1 << 20


def upright_rgb(image: Image.Image) -> UInt8:
    """A loaded image as uint8 [H, W, 3], turned as its EXIF says. Raises SourceError where its
    samples are no colours."""
    if image.mode == "F":
        raise SourceError("holds floating-point samples, which have no defined range as a picture")
    width, height = image.size
    orientation = image.getexif().get(_ORIENTATION, 1)
    across = orientation in _ACROSS
    upright = np.empty((width, height, 3) if across else (height, width, 3), np.uint8)
    coded = _CODED[orientation](upright) if orientation in _CODED else upright
    rows = max(1, _STRIP_PIXELS // max(1, width))
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        coded[top:bottom] = _rgb(image.crop((0, top, width, bottom)))
    return upright


def _rgb(strip: Image.Image) -> UInt8:
    if strip.mode.startswith("I;16") or strip.mode == "I":
        # Pillow's own conversion clips 16-bit grey at 255 instead of scaling it.
        grey = (np.asarray(strip) >> 8).clip(0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    return np.asarray(strip if strip.mode == "RGB" else strip.convert("RGB"), np.uint8)
