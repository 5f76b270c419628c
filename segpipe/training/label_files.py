"""Labelled pictures decoded in a child process, as the footage of a run is: a label is a stranger's
file as much as a picture."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from segpipe.core.config.sections import ReadSettings
from segpipe.core.errors import SourceError
from segpipe.core.types import UInt8
from segpipe.runtime import isolation
from segpipe.sources.decoding import PLAIN
from segpipe.sources.images.folder import read_image

Encoding = Literal["index", "colour"]
FORMATS = ("PNG", "TIFF", "BMP", "WEBP", "JPEG", "PPM", "GIF")
"""Pillow's names of what a label file may be."""


def in_child(
    function: Callable[..., Iterator[Any]], files: Sequence[Any], *more: Any
) -> Iterator[Any]:
    """`function(files, *more)` in a child process, or in this one where the system has none. Raises
    SourceError where the child crashed or hung; it names the file that it was at, where there is
    one for each item, else the last."""
    if not isolation.POSSIBLE:
        yield from function(files, *more)
        return
    done = 0
    try:
        timeout_s = ReadSettings().timeout_s
        for found in isolation.stream(function, files, *more, timeout_s=timeout_s):
            yield found
            done += 1
    except isolation.ChildLost as lost:
        here = files[min(done, len(files) - 1)]
        name = here if isinstance(here, str) else " or ".join(here)
        raise SourceError(f"{name}: {lost}; repair or remove it") from None


def decoded_pairs(
    files: Sequence[tuple[str, str]], encoding: Encoding
) -> Iterator[tuple[UInt8, UInt8]]:
    """Each image as uint8 [H, W, 3] with its label's values [H, W] or colours [H, W, 3]. Raises
    SourceError, the file named."""
    for image, label in files:
        isolation.heartbeat()
        try:
            rgb = read_image(Path(image))
        except SourceError as error:
            raise SourceError(f"{image}: {error}; repair or remove it") from None
        yield rgb, decoded_label(Path(label), encoding)


def decoded_labels(files: Sequence[str], encoding: Encoding) -> Iterator[UInt8]:
    """Each label's values uint8 [H, W] or colours uint8 [H, W, 3]. Raises SourceError, the file
    named."""
    for file in files:
        isolation.heartbeat()
        yield decoded_label(Path(file), encoding)


def decoded_label(path: Path, encoding: Encoding) -> UInt8:
    """A label's values uint8 [H, W], or its colours uint8 [H, W, 3]. One of more than
    read.max_pixels is refused before it is decoded. Raises SourceError, the file named."""
    _check_size(path)
    flag = cv2.IMREAD_COLOR if encoding == "colour" else cv2.IMREAD_UNCHANGED
    found = cv2.imread(str(path), flag)
    if found is None:
        raise SourceError(
            f"{path}: the label can't be read; repair it, or remove it with its image"
        )
    if found.ndim == 3 and encoding == "index":
        found = _palette_or_grey(path, found)  # type: ignore[assignment]
    if found.dtype != np.uint8:
        if found.max(initial=0) > 255:
            raise SourceError(
                f"{path}: label values up to {int(found.max())}; segpipe's labels are bytes "
                "(0 to 255)"
            )
        found = found.astype(np.uint8)
    return np.ascontiguousarray(found[..., ::-1] if found.ndim == 3 else found, np.uint8)


def _check_size(path: Path) -> None:
    """Raises SourceError for a label that is no file, of no known format, or too large."""
    try:
        if path.exists() and not path.is_file():
            raise SourceError("isn't a regular file")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as picture:
                PLAIN.check(*picture.size)
    except UnidentifiedImageError:
        raise SourceError(
            f"{path}: the label can't be read (none of {', '.join(FORMATS)}); repair it, or "
            "remove it with its image"
        ) from None
    except Exception as error:  # noqa: BLE001 - a damaged file makes Pillow raise nearly anything
        said = " ".join(str(error).split())[:200]
        raise SourceError(f"{path}: the label {said}; repair it, or remove it") from None


def _palette_or_grey(path: Path, found: NDArray[np.generic]) -> NDArray[np.generic]:
    """PNGs with a palette hold indices, which OpenCV turns into colours; Pillow gives them as they
    are."""
    with Image.open(path, formats=FORMATS) as picture:
        return np.asarray(picture) if picture.mode in {"P", "L"} else found
