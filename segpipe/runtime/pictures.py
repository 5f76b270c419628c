"""Opening images with Pillow: also HEIC, as phones write it, and AVIF, as many exports are."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "HEIF", "AVIF")
"""Pillow's names of the formats that segpipe reads. It knows forty more, whatever a file is called:
for EPS it starts Ghostscript."""
IN_BOXES = frozenset({"AVIF", "HEIF"})
"""Pillow's names of the formats that turn a picture by a property of their own (`irot`, `imir`)."""
_HEAD_BYTES = 1 << 18
"""The properties of a HEIC's pictures lie within these bytes, before the pictures."""


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """Open an image without decoding it; its EXIF orientation is what is left to turn.

    In HEIC and AVIF the container's own turn and mirror count, and an orientation in EXIF or XMP
    has no effect, though cameras write both: of HEIC the decoder gives upright pixels and resets
    the tag, of AVIF Pillow sets the tag to the container's orientation. XMP is dropped, because
    Pillow would take an orientation from it where EXIF has none. Raises what Pillow raises,
    UnidentifiedImageError among it.
    """
    _register_heif()
    with Image.open(path, formats=FORMATS) as image:
        if image.format in IN_BOXES:
            image.info.pop("xmp", None)
        yield image


def turned_by_exif_alone(image: Image.Image, path: Path) -> bool:
    """Whether an opened HEIC has an orientation in its EXIF, and neither a turn nor a mirror of its
    own, as some converters of JPEG write it. Raises OSError."""
    if image.info.get("original_orientation") in (None, 1):
        return False
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    return b"irot" not in head and b"imir" not in head


@functools.cache
def _register_heif() -> None:
    """Teach Pillow to read HEIC. Here and not at the top: it takes time, and who reads no image
    needs none of it."""
    from pi_heif import register_heif_opener

    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
