"""Images of every kind come out upright, in 8-bit RGB; what can't be read whole is an error."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from segpipe.core.errors import SourceError
from segpipe.core.types import Frame, FrameFailure, UInt8
from segpipe.sources.identity import identify
from segpipe.sources.images.folder import ImageFolder, read_image


@pytest.fixture
def colours() -> UInt8:
    """Four flat quarters: red, green, blue, grey; 24 high, 40 wide."""
    image = np.zeros((24, 40, 3), np.uint8)
    image[:12, :20], image[:12, 20:], image[12:, :20], image[12:, 20:] = (
        (220, 30, 30),
        (30, 200, 30),
        (30, 30, 220),
        (128, 128, 128),
    )
    return image


@pytest.mark.parametrize(
    ("name", "options", "tolerance"),
    [
        ("a.png", {}, 0),
        ("a.bmp", {}, 0),
        ("a.tiff", {}, 0),
        ("a.tif", {"compression": "tiff_lzw"}, 0),
        ("a.jpg", {"quality": 98, "subsampling": 0}, 6),
        ("a.JPEG", {"quality": 98, "subsampling": 0}, 6),
        ("a.webp", {"lossless": True}, 0),
    ],
)
def test_formats(name: str, options: dict, tolerance: int, colours: UInt8, tmp_path: Path) -> None:  # type: ignore[type-arg]
    Image.fromarray(colours).save(tmp_path / name, **options)
    found = read_image(tmp_path / name)
    assert found.shape == (24, 40, 3)
    assert found.dtype == np.uint8
    for y, x in ((5, 8), (5, 32), (18, 8), (18, 32)):
        assert np.abs(found[y, x].astype(int) - colours[y, x]).max() <= tolerance


def test_cmyk_jpeg(colours: UInt8, tmp_path: Path) -> None:
    Image.fromarray(colours).convert("CMYK").save(tmp_path / "a.jpg", quality=98)
    found = read_image(tmp_path / "a.jpg")
    assert np.abs(found[5, 8].astype(int) - (220, 30, 30)).max() < 8


def test_sixteen_bit_grey_keeps_its_range(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[None].repeat(8, 0)
    cv2.imwrite(str(tmp_path / "a.png"), ramp)
    found = read_image(tmp_path / "a.png")
    assert np.abs(found[0, :, 0].astype(int) - (ramp[0] >> 8)).max() <= 1
    assert found[0, -1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("name", ["a.png", "a.tiff"])
def test_sixteen_bit_colour(name: str, colours: UInt8, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / name), colours[..., ::-1].astype(np.uint16) * 257)
    assert np.abs(read_image(tmp_path / name).astype(int) - colours).max() <= 1


def test_grey_palette_and_transparency(colours: UInt8, tmp_path: Path) -> None:
    Image.fromarray(colours).convert("L").save(tmp_path / "grey.png")
    Image.fromarray(colours).convert("P", palette=Image.Palette.ADAPTIVE).save(
        tmp_path / "palette.png"
    )
    alpha = np.dstack([colours, np.full(colours.shape[:2], 128, np.uint8)])
    Image.fromarray(alpha).save(tmp_path / "alpha.png")
    assert np.ptp(read_image(tmp_path / "grey.png"), axis=2).max() == 0
    assert np.abs(read_image(tmp_path / "palette.png").astype(int) - colours).max() <= 2
    assert np.array_equal(read_image(tmp_path / "alpha.png"), colours)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tiff"])
def test_exif_orientation(orientation: int, name: str, colours: UInt8, tmp_path: Path) -> None:
    stored = {
        1: colours,
        2: colours[:, ::-1],
        3: colours[::-1, ::-1],
        4: colours[::-1],
        5: colours.transpose(1, 0, 2),
        6: np.rot90(colours, 1),
        7: np.rot90(colours, 2).transpose(1, 0, 2),
        8: np.rot90(colours, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"quality": 98} if name != "a.png" else {}
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / name, exif=exif, **options)
    found = read_image(tmp_path / name)
    assert found.shape == colours.shape
    for y, x in ((5, 8), (5, 32), (18, 8), (18, 32)):
        assert np.abs(found[y, x].astype(int) - colours[y, x]).max() < 20


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.webp", "a.tiff", "a.bmp"])
def test_a_truncated_file_is_an_error_and_not_half_a_picture(name: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (200, 300, 3), np.uint8)).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) // 2])
    with pytest.raises(SourceError):
        read_image(tmp_path / name)


@pytest.mark.parametrize("content", [b"", b"no picture at all"])
def test_no_image(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(content)
    with pytest.raises(SourceError, match="can't be read as an image"):
        read_image(tmp_path / "a.jpg")


def test_a_huge_declared_size_is_refused(tmp_path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(tmp_path / "a.png")
    with pytest.raises(SourceError, match="too large"):
        read_image(tmp_path / "a.png")


def test_a_folder_gives_good_frames_and_failures_in_order(colours: UInt8, tmp_path: Path) -> None:
    Image.fromarray(colours).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"broken")
    Image.fromarray(colours).save(tmp_path / "c.png")
    (tmp_path / "d.png").symlink_to(tmp_path / "gone.png")
    files = sorted(tmp_path.iterdir())
    folder = ImageFolder.open(files)
    found = [f for s in folder.shards(100) for f in folder.frames(s)]
    assert [type(f) for f in found] == [Frame, FrameFailure, Frame, FrameFailure]
    assert [f.ref.frame_id.partition(":")[2] for f in found] == [identify(p).key for p in files]
    assert [f.ref.uri for f in found] == [str(p) for p in files]


def test_a_tiff_that_opencv_chokes_on_costs_itself(tmp_path: Path) -> None:
    """OpenCV raises an error of its own for a picture wider than it can be."""
    import struct

    width, tags = 1_100_000, []
    for number, kind, count, value in (
        (256, 4, 1, width),
        (257, 4, 1, 1),
        (258, 3, 1, 32),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 200),
        (277, 3, 1, 3),
        (278, 4, 1, 1),
        (279, 4, 1, width * 12),
        (339, 3, 1, 2),
    ):
        tags.append(struct.pack("<HHII", number, kind, count, value))
    data = b"II*\0" + struct.pack("<IH", 8, len(tags)) + b"".join(tags) + bytes(4)
    (tmp_path / "wide.tif").write_bytes(data.ljust(200, b"\0") + bytes(width * 12))
    with pytest.raises(SourceError, match="can't be read as an image"):
        read_image(tmp_path / "wide.tif")
    with pytest.raises(SourceError, match="can't be read as an image") as caught:
        read_image(tmp_path / "gone.png")
    assert caught.value.transient
