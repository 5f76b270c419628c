"""Images: sizes that are lies, sizes that are true and too large, strange colours, pictures that
move, EXIF that leads astray."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from PIL import Image

from tests.torture import pngs
from tests.torture.bases import image, saved, texture
from tests.torture.recipes import Recipe, be16, content, contents, le16, le32, patched

SIZES = (1, 0, 65535, 2**31 - 1)
LARGE = 20_000


def recipes() -> Iterator[Recipe]:
    for size in SIZES:
        kind = "huge declared size" if size > 1 else "wrong declared size"
        for name, declare in _DECLARE.items():
            yield content(kind, f"{size}-{name}", partial(declare, size))
    yield from contents("huge declared size", _HUGE)
    yield from contents("20,000x20,000", _LARGE)
    yield from contents("1x1", {f"one.{s}": partial(_one, k) for s, k in _KINDS.items()})
    yield from contents("compressed text", _TEXT)
    yield from contents("animated", _ANIMATED)
    yield from contents("colours", _COLOURS)
    yield from contents("slow to decode", {"scans.jpg": scan_bomb})


def _jpeg(size: int) -> bytes:
    data = image("photo.jpg")
    at = data.index(b"\xff\xc0") + 5
    return patched(data, (at, be16(size) + be16(size)))


def _webp(size: int) -> bytes:
    """The frame header of VP8: a start code, then 14 bits for each side."""
    data = image("photo.webp")
    at = data.index(b"\x9d\x01\x2a") + 3
    return patched(data, (at, le16(size & 0x3FFF) * 2))


def _webp_canvas(size: int) -> bytes:
    """An extended WebP whose canvas is declared, with 24 bits for each side."""
    frame = image("photo.webp")[12:]
    side = ((size - 1) & 0xFFFFFF).to_bytes(3, "little")
    body = b"WEBPVP8X" + le32(10) + bytes(4) + side * 2 + frame
    return b"RIFF" + le32(len(body)) + body


def _tiff(size: int) -> bytes:
    return pngs.tiff(size, size, image("photo.bmp")[54:])


def _gif(size: int) -> bytes:
    return patched(saved(Image.fromarray(texture(1)), "GIF"), (6, le16(size) * 2))


_DECLARE: dict[str, Callable[[int], bytes]] = {
    "ihdr.png": lambda size: pngs.with_size(image("photo.png"), size, size),
    "wide.png": lambda size: pngs.with_size(image("photo.png"), size, 120),
    "sof.jpg": _jpeg,
    "header.bmp": lambda size: patched(image("photo.bmp"), (18, le32(size) * 2)),
    "upside-down.bmp": lambda size: patched(image("photo.bmp"), (22, le32(-size))),
    "frame.webp": _webp,
    "canvas.webp": _webp_canvas,
    "tags.tif": _tiff,
    "screen-gif.jpg": _gif,
}
_HUGE: dict[str, Callable[[], bytes]] = {
    # Pillow doesn't know this format, OpenCV does.
    "radiance.jpg": lambda: (
        b"#?RADIANCE\nFORMAT=32-bit_rle_rgbe\n\n-Y 30000 +X 30000\n" + bytes(100)
    ),
    "netpbm.png": lambda: b"P6 30000 30000 255\n" + bytes(100),
    "sun-raster.png": lambda: (
        struct.pack(">8I", 0x59A66A95, 30000, 30000, 24, 0, 1, 0, 0) + bytes(100)
    ),
    "many-strips.tif": lambda: patched(
        pngs.tiff(160, 120, bytes(57600)), (8 + 2 + 5 * 12 + 4, le32(2**31 - 1))
    ),
    "tag-count.tif": lambda: patched(
        image("photo.tif"), (int.from_bytes(image("photo.tif")[4:8], "little"), b"\xff\xff")
    ),
    "rows-per-strip.tif": lambda: pngs.tiff(160, 120, bytes(57600), rows_per_strip=2**31 - 1),
    "circle-of-pages.tif": lambda: pngs.tiff(16, 12, bytes(576), next_ifd=8),
    "chunk-length.png": lambda: patched(image("photo.png"), (33, b"\xff\xff\xff\xff")),
    "riff-length.webp": lambda: patched(image("photo.webp"), (4, b"\xff\xff\xff\xff")),
    "segment-length.jpg": lambda: patched(image("photo.jpg"), (4, b"\xff\xff")),
    "data-offset.bmp": lambda: patched(image("photo.bmp"), (10, le32(2**31 - 1))),
}
_LARGE: dict[str, Callable[[], bytes]] = {
    "grey.png": lambda: pngs.blank_png(LARGE, LARGE),
    "one-bit.png": lambda: pngs.blank_png(LARGE, LARGE, 1),
    "colour.png": lambda: pngs.blank_png(LARGE, LARGE, 8, pngs.RGB),
    "grey.tif": lambda: pngs.blank_tiff(LARGE, LARGE, 8, 1),
    # 16-bit colour is what Pillow leaves to OpenCV, and so it passes by Pillow's own limit.
    "sixteen-bit.tif": lambda: pngs.blank_tiff(LARGE, LARGE, 16),
    "half-as-large.png": lambda: pngs.blank_png(13_000, 13_000, 1),
    "wide.png": lambda: pngs.blank_png(500_000, 300, 1),
    "high.jpg": lambda: saved(Image.new("L", (30, 65_000)), "JPEG"),
}
_KINDS = {"jpg": "JPEG", "png": "PNG", "webp": "WEBP", "tif": "TIFF", "bmp": "BMP"}


def _one(kind: str) -> bytes:
    return saved(Image.new("RGB", (1, 1), (200, 30, 30)), kind)


def _with_text(kind: bytes, megabytes: int) -> bytes:
    data = image("photo.png")
    return data[:33] + pngs.text_bomb(kind, megabytes) + data[33:]


_TEXT: dict[str, Callable[[], bytes]] = {
    "ztxt.png": lambda: _with_text(b"zTXt", 300),
    "itxt.png": lambda: _with_text(b"iTXt", 300),
    "many.png": lambda: (
        image("photo.png")[:33] + pngs.text_bomb(b"zTXt", 1) * 200 + image("photo.png")[33:]
    ),
    "profile.png": lambda: (
        image("photo.png")[:33] + pngs.text_bomb(b"iCCP", 300) + image("photo.png")[33:]
    ),
}


def _moving(kind: str, count: int = 5) -> bytes:
    first, *others = [Image.fromarray(texture(n)) for n in range(count)]
    return saved(first, kind, save_all=True, append_images=others, duration=40, loop=0)


_ANIMATED: dict[str, Callable[[], bytes]] = {
    **{f"gif.{s}": partial(_moving, "GIF") for s in ("png", "jpg", "webp", "tif")},
    "apng.png": partial(_moving, "PNG"),
    "webp.webp": partial(_moving, "WEBP"),
    "webp.jpg": partial(_moving, "WEBP"),
    "pages.tif": partial(_moving, "TIFF"),
    "gif.mp4": partial(_moving, "GIF"),
    "cut-off-gif.png": lambda: _moving("GIF")[:-2000],
    "cut-off-apng.png": lambda: _moving("PNG")[:3000],
    "thousand-frames-gif.jpg": partial(_moving, "GIF", 300),
}


def _as(mode: str, kind: str, **options: object) -> bytes:
    return saved(Image.fromarray(texture(1)).convert(mode), kind, **options)


def _ycck() -> bytes:
    """Adobe's marker says that the four channels are YCCK (2), where Pillow writes CMYK (0)."""
    data = _as("CMYK", "JPEG")
    at = data.index(b"Adobe") + 11
    return patched(data, (at, b"\2"))


def _transparent_palette() -> bytes:
    grey = Image.fromarray(texture(1)).quantize(16)
    return saved(grey, "PNG", transparency=bytes(range(0, 256, 16)))


_COLOURS: dict[str, Callable[[], bytes]] = {
    "cmyk.jpg": partial(_as, "CMYK", "JPEG"),
    "ycck.jpg": _ycck,
    "cmyk.tif": partial(_as, "CMYK", "TIFF"),
    "lab.tif": partial(_as, "LAB", "TIFF"),
    "grey.jpg": partial(_as, "L", "JPEG"),
    "one-bit.png": partial(_as, "1", "PNG"),
    "one-bit.tif": partial(_as, "1", "TIFF", compression="group4"),
    "grey-and-alpha.png": partial(_as, "LA", "PNG"),
    "alpha.webp": partial(_as, "RGBA", "WEBP"),
    "palette.png": _transparent_palette,
    "palette-too-short.png": lambda: _transparent_palette().replace(b"PLTE", b"pLTE"),
    "sixteen-bit.png": lambda: saved(
        Image.fromarray(texture(1)[..., 0].astype(np.uint16) * 257), "PNG"
    ),
    "sixteen-bit-colour.png": lambda: pngs.blank_png(60, 40, 16, pngs.RGB),
    "thirty-two-bit.tif": partial(_as, "I", "TIFF"),
    "float.tif": partial(_as, "F", "TIFF"),
    "five-samples.tif": lambda: pngs.tiff(16, 12, bytes(960), samples=5),
    "no-colours.bmp": lambda: patched(_as("P", "BMP"), (46, le32(2**31 - 1))),
}


def scan_bomb() -> bytes:
    """A progressive JPEG of very many scans: each is a few bytes, and each goes over the whole
    picture."""
    data = saved(Image.new("L", (6000, 6000), 90), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * 400 + data[-2:]
