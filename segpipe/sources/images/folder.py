"""Folders of images: decoding to upright 8-bit RGB, and shards of what is new."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import cv2
import numpy as np
from PIL import Image, TiffImagePlugin, UnidentifiedImageError

from segpipe.core.errors import SourceError, is_transient
from segpipe.core.types import (
    FileStamp,
    Frame,
    FrameFailure,
    FrameRef,
    Shard,
    SourceInfo,
    UInt8,
)
from segpipe.runtime.isolation import heartbeat
from segpipe.runtime.pictures import open_image
from segpipe.sources.decoding import PLAIN, Decoding
from segpipe.sources.identity import identify
from segpipe.sources.ids import image_frame_id, source_info
from segpipe.sources.images.upright import upright_rgb
from segpipe.sources.shards import shards_of_files
from segpipe.telemetry.locate import NOWHERE, Locator

# What is wrong with a file stands in its row, not on the terminal.
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
Image.MAX_IMAGE_PIXELS = None  # `Decoding` has the limit


@dataclass(frozen=True)
class ImageFolder:
    """The images of one folder as a source; `files` are those that the user asked for."""

    info: SourceInfo
    files: tuple[FileStamp, ...]
    locator: Locator = NOWHERE
    decoding: Decoding = PLAIN

    @classmethod
    def open(cls, files: Sequence[Path], decoding: Decoding = PLAIN) -> ImageFolder:
        """Images by themselves, without a dataset that knows them."""
        stamps = tuple(identify(path).stamp for path in files)
        info = source_info(f"images-{stamps[0].name}", "images", files[0].parent)
        return cls(info, stamps, NOWHERE, decoding)

    def shards(self, frames_per_shard: int) -> list[Shard]:
        """Shards of the files, in order of name."""
        return shards_of_files(self.info, self.files, frames_per_shard)

    def frames(self, shard: Shard) -> Iterator[Frame | FrameFailure]:
        """Decode a shard's images; one that can't be read is a FrameFailure, never an exception."""
        for file, ref in list(zip(shard.files, self.refs(shard), strict=True))[
            self.decoding.skip :
        ]:
            heartbeat()
            try:
                yield Frame(ref, read_image(Path(file.uri), self.decoding))
            except SourceError as error:
                yield FrameFailure(ref, str(error), error.transient)

    def refs(self, shard: Shard) -> list[FrameRef]:
        """What each image of a shard is, in order."""
        keys = [file.name for file in shard.files]
        return [
            FrameRef(
                image_frame_id(self.info.source_id, file.name),
                self.info.source_id,
                file.uri,
                None,
                None,
                place.time_us,
                place.time_source,
                place.position,
            )
            for file, place in zip(shard.files, self.locator.of_images(keys), strict=True)
        ]

    @property
    def times_s(self) -> None:
        """Images have no presentation times."""

    def groups(self, shard: Shard) -> list[int]:
        """Images hang together with no others."""
        return list(range(len(shard.files)))


def read_image(path: Path, decoding: Decoding = PLAIN) -> UInt8:
    """Decode JPEG, PNG, WebP, TIFF, BMP, HEIC or AVIF to upright RGB, uint8 [H, W, 3].

    The orientation is applied once (`open_image`), samples of 10, 12 and 16 bits keep their upper
    byte, CMYK and palettes are converted, transparency is dropped. Of a file with several pictures
    the first is taken, or the one that it calls the primary. Raises SourceError where the file
    can't be read whole, and before it is decoded where it is too large.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # A pipe or a device would be waited for without end
            if not path.is_file() and path.exists():
                raise SourceError("isn't a regular file")
            try:
                return _read_with_pillow(path, decoding)
            except UnidentifiedImageError:
                return _read_with_opencv(path, decoding)
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file makes Pillow and OpenCV raise nearly anything
        said = (
            " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
        )
        raise SourceError(
            f"can't be read as an image ({said[:200]})", is_transient(error)
        ) from None


def _read_with_pillow(path: Path, decoding: Decoding) -> UInt8:
    with open_image(path) as image:
        decoding.check(*image.size)
        image.load()
        # The coded picture of a HEIC may be larger than its header says.
        decoding.check(*image.size)
        return upright_rgb(image)


def _read_with_opencv(path: Path, decoding: Decoding) -> UInt8:
    """A TIFF of samples that Pillow doesn't know (16-bit RGB among them)."""
    with path.open("rb") as file:
        magic = file.read(8)
        if magic[4:] == b"ftyp":
            raise SourceError(
                "can't be read as an image (a damaged HEIC or AVIF, or a coding that no decoder "
                "here knows)"
            )
        if not magic.startswith((b"II*\0", b"MM\0*")):
            raise SourceError(
                "can't be read as an image ("
                + ("no known format" if magic else "the file is empty")
                + ")"
            )
        decoding.check(*_tiff_size(file, magic))
    image = cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB)
    if image is None:
        raise SourceError("can't be read as an image (a TIFF that no decoder here knows)")
    return np.asarray(image, np.uint8)


def _tiff_size(file: IO[bytes], magic: bytes) -> tuple[int, int]:
    """Width and height of a TIFF's first picture, out of its tags."""
    try:
        tags = TiffImagePlugin.ImageFileDirectory_v2(magic)
        file.seek(tags.next)
        tags.load(file)
        return int(tags[TiffImagePlugin.IMAGEWIDTH]), int(tags[TiffImagePlugin.IMAGELENGTH])
    except Exception as error:  # noqa: BLE001 - a damaged file makes Pillow raise nearly anything
        raise SourceError(
            f"can't be read as an image (its tags are damaged: {error or type(error).__name__})"
        ) from None
