"""Folders of images: decoding to upright 8-bit RGB, and shards of what is new."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from segpipe.errors import SourceError, is_transient
from segpipe.frames import FileStamp, Frame, FrameFailure, FrameRef, Shard, SourceInfo, UInt8
from segpipe.sources.identity import files_digest, image_frame_id, source_info, stamp
from segpipe.telemetry.locate import NOWHERE, Locator

cv2.utils.logging.setLogLevel(
    cv2.utils.logging.LOG_LEVEL_SILENT
)  # what is wrong with a file stands in its row, not on the terminal


@dataclass(frozen=True)
class ImageFolder:
    """The images of one folder as a source; `files` are those that the user asked for."""

    info: SourceInfo
    folder: Path
    files: tuple[Path, ...]
    locator: Locator = NOWHERE

    @classmethod
    def at(cls, folder: Path, files: Sequence[Path], locator: Locator = NOWHERE) -> ImageFolder:
        return cls(source_info(folder, "images"), folder, tuple(files), locator)

    def shards(self, frames_per_shard: int) -> list[Shard]:
        """Shards of the files, in order of name."""
        return image_shards(self.info, tuple(stamp(f) for f in self.files), frames_per_shard)

    def frames(self, shard: Shard) -> Iterator[Frame | FrameFailure]:
        """Decode a shard's images; one that can't be read is a FrameFailure, never an exception."""
        paths = [self.folder / file.name for file in shard.files]
        for path, place in zip(paths, self.locator.of_images(paths), strict=True):
            ref = FrameRef(
                image_frame_id(self.info.source_id, path.name), self.info.source_id, str(path), None, None,
                place.time_us, place.time_source, place.position,
            )  # fmt: skip
            try:
                yield Frame(ref, read_image(path))
            except SourceError as error:
                yield FrameFailure(ref, str(error), error.transient)


def read_image(path: Path) -> UInt8:
    """Decode JPEG, PNG, WebP, TIFF or BMP to upright RGB, uint8 [H, W, 3].

    EXIF orientation is applied, 16-bit samples keep their upper byte, CMYK and palettes are converted, transparency is
    dropped. Of a file with several pictures the first is taken. Raises SourceError where the file can't be read whole.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path) as image:
                image.load()
                return _upright_rgb(image)
    except UnidentifiedImageError:
        return _read_with_opencv(path)
    except Image.DecompressionBombError as error:
        raise SourceError(f"too large to decode safely ({error})") from None
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file makes Pillow raise nearly anything
        raise SourceError(f"can't be read as an image ({error or type(error).__name__})", is_transient(error)) from None


def _upright_rgb(image: Image.Image) -> UInt8:
    turned = ImageOps.exif_transpose(image)
    if turned.mode.startswith("I;16") or turned.mode == "I":
        # Pillow's own conversion clips 16-bit grey at 255 instead of scaling it.
        grey = (np.asarray(turned).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
        return np.ascontiguousarray(np.repeat(grey[..., None], 3, axis=2))
    if turned.mode == "F":
        raise SourceError("holds floating-point samples, which have no defined range as a picture")
    return np.array(turned.convert("RGB"))


def _read_with_opencv(path: Path) -> UInt8:
    """What Pillow doesn't know (16-bit RGB TIFF among it), OpenCV may."""
    data = np.fromfile(path, np.uint8)
    image = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB) if data.size else None
    if image is None:
        raise SourceError("can't be read as an image (" + ("no known format" if data.size else "the file is empty") + ")")
    return np.asarray(image, np.uint8)


def image_shards(info: SourceInfo, files: tuple[FileStamp, ...], frames_per_shard: int) -> list[Shard]:
    """Cut a folder's files into shards, named after the files that they hold."""
    parts = [files[i : i + frames_per_shard] for i in range(0, len(files), frames_per_shard)]
    return [Shard(f"{info.source_id}-{files_digest(part)}", info, len(part), files=part) for part in parts]
