"""HEIC and AVIF, as phones and exports write them: upright, in 8 bits, with their own time and
place."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from PIL.ExifTags import GPS, IFD, Base

from segpipe.core.errors import SourceError
from segpipe.core.types import UInt8
from segpipe.sources.decoding import Decoding
from segpipe.sources.images.folder import read_image
from segpipe.telemetry.exif import read_exif
from tests.heic import heic
from tests.pipeline.test_run import FAKE
from tests.pipeline.test_where import frames_of

Call = Callable[..., tuple[int, str, str]]
RED, GREEN, BLUE, GREY = (220, 30, 30), (30, 200, 30), (30, 30, 220), (128, 128, 128)
SHOWN = {
    1: ((96, 160), (RED, GREEN, BLUE, GREY)),
    2: ((96, 160), (GREEN, RED, GREY, BLUE)),
    3: ((96, 160), (GREY, BLUE, GREEN, RED)),
    4: ((96, 160), (BLUE, GREY, RED, GREEN)),
    5: ((160, 96), (RED, BLUE, GREEN, GREY)),
    6: ((160, 96), (BLUE, RED, GREY, GREEN)),
    7: ((160, 96), (GREY, GREEN, BLUE, RED)),
    8: ((160, 96), (GREEN, GREY, RED, BLUE)),
}
"""Height, width and the four quarters that each EXIF orientation shows of the picture below."""
AS_PROPERTIES: dict[int, tuple[int, int | None]] = {
    1: (0, None),
    2: (0, 1),
    3: (2, None),
    4: (0, 0),
    5: (1, 0),
    6: (3, None),
    7: (1, 1),
    8: (1, None),
}
"""The same as quarter turns to the left, and then a mirror."""


@pytest.fixture(scope="module")
def quarters() -> UInt8:
    image = np.empty((96, 160, 3), np.uint8)
    image[:48, :80], image[:48, 80:], image[48:, :80], image[48:, 80:] = RED, GREEN, BLUE, GREY
    return image


def shows(path: Path, orientation: int) -> None:
    found = read_image(path)
    size, colours = SHOWN[orientation]
    assert (found.shape, found.dtype) == ((*size, 3), np.uint8)
    assert found.flags.c_contiguous
    middles = [
        found[size[0] * y // 4, size[1] * x // 4] for y, x in ((1, 1), (1, 3), (3, 1), (3, 3))
    ]
    assert np.abs(np.array(middles, int) - np.array(colours)).max() <= 6


def tiff(orientation: int) -> bytes:
    """EXIF with a time, a place and an orientation, from its TIFF header on."""
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    exif.get_ifd(IFD.Exif).update(
        {
            Base.DateTimeOriginal: "2026:05:01 12:00:00",
            Base.SubsecTimeOriginal: "25",
            Base.OffsetTimeOriginal: "+02:00",
        }
    )
    place = {GPS.GPSLatitudeRef: "N", GPS.GPSLatitude: (52.0, 12.0, 18.0)}
    exif.get_ifd(IFD.GPSInfo).update(
        place | {GPS.GPSLongitudeRef: "W", GPS.GPSLongitude: (0.0, 7.0, 12.0)}
    )
    return exif.tobytes().removeprefix(b"Exif\0\0")


@pytest.mark.parametrize("orientation", SHOWN)
def test_a_heic_is_turned_once_by_its_own_properties(
    orientation: int, quarters: UInt8, tmp_path: Path
) -> None:
    turns, mirror = AS_PROPERTIES[orientation]
    (tmp_path / "plain.heic").write_bytes(heic(quarters, turns, mirror))
    shows(tmp_path / "plain.heic", orientation)
    # Phones repeat it in EXIF, where it has no effect.
    (tmp_path / "both.HEIC").write_bytes(heic(quarters, turns, mirror, exif=tiff(orientation)))
    shows(tmp_path / "both.HEIC", orientation)


def test_an_orientation_in_exif_or_xmp_alone_has_no_effect(quarters: UInt8, tmp_path: Path) -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6"/>'
    (tmp_path / "exif.heic").write_bytes(heic(quarters, exif=tiff(6)))
    (tmp_path / "xmp.heic").write_bytes(heic(quarters, xmp=xmp))
    Image.fromarray(quarters).save(tmp_path / "xmp.avif", quality=90, xmp=xmp)
    for name in ("exif.heic", "xmp.heic", "xmp.avif"):
        shows(tmp_path / name, 1)


def test_a_note_counts_the_orientations_without_effect(
    quarters: UInt8, tmp_path: Path, segpipe: Call
) -> None:
    (tmp_path / "alone.heic").write_bytes(heic(quarters, exif=tiff(6)))
    (tmp_path / "both.heic").write_bytes(heic(quarters, 3, exif=tiff(6)))
    (tmp_path / "upright.heic").write_bytes(heic(quarters, exif=tiff(1)))
    code, printed, _ = segpipe("run", tmp_path, "-o", tmp_path / "out", *FAKE)
    assert code == 0
    said = (
        "1 of 3 images read as coded: an orientation that stands only in EXIF has no effect in HEIC"
    )
    assert printed.count(said) == 1


@pytest.mark.parametrize("orientation", SHOWN)
def test_an_avif_is_turned_once(orientation: int, quarters: UInt8, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[Base.Orientation] = orientation  # Pillow writes it as irot and imir
    Image.fromarray(quarters).save(tmp_path / "a.avif", quality=90, exif=exif)
    shows(tmp_path / "a.avif", orientation)


@pytest.mark.parametrize(
    ("pixel_format", "brand"),
    [
        ("yuv420p10le", b"heix"),
        ("yuv444p12le", b"heix"),
        ("yuv444p", b"heix"),
        ("yuv420p", b"mif1"),
    ],
)
def test_kinds_of_heic(pixel_format: str, brand: bytes, quarters: UInt8, tmp_path: Path) -> None:
    (tmp_path / "a.hif").write_bytes(heic(quarters, pixel_format=pixel_format, brand=brand))
    shows(tmp_path / "a.hif", 1)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_kinds_of_avif(pixel_format: str, quarters: UInt8, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.avif"), "w", format="avif") as container:
        stream = container.add_stream(
            "libsvtav1", rate=1, options={"crf": "10", "svtav1-params": "avif=1"}
        )
        stream.height, stream.width, stream.pix_fmt = 96, 160, pixel_format
        frame = av.VideoFrame.from_ndarray(quarters, format="rgb24")
        frame.pts = 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    shows(tmp_path / "a.avif", 1)


def test_their_exif_is_read_as_that_of_a_jpeg(quarters: UInt8, tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(heic(quarters, 3, exif=tiff(6)))
    for name in ("a.avif", "a.jpg"):
        Image.fromarray(quarters).save(tmp_path / name, exif=b"Exif\0\0" + tiff(1))
    for name in ("a.heic", "a.avif", "a.jpg"):
        facts = read_exif(tmp_path / name)
        assert facts is not None
        assert facts.moment == datetime(2026, 5, 1, 10, 0, 0, 250_000, UTC)
        assert facts.position is not None
        assert facts.position.latitude == pytest.approx(52.205)
        assert facts.position.longitude == pytest.approx(-0.12)


def test_too_large_is_refused_before_decoding(
    quarters: UInt8, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "claims.heic").write_bytes(heic(quarters, size=(20_000, 20_000)))
    (tmp_path / "a.heic").write_bytes(heic(quarters))
    Image.fromarray(quarters).save(tmp_path / "a.avif")
    monkeypatch.setattr(Image.Image, "load", lambda _: pytest.fail("decoded"))
    for name, limit in (("claims.heic", 64_000_000), ("a.heic", 15_359), ("a.avif", 15_359)):
        with pytest.raises(SourceError, match="pixels are too large to decode safely"):
            read_image(tmp_path / name, Decoding(max_pixels=limit))
    monkeypatch.undo()
    assert read_image(tmp_path / "a.heic", Decoding(max_pixels=15_360)).shape == (96, 160, 3)


def test_a_run_reads_good_ones_and_names_damaged_ones(
    quarters: UInt8, tmp_path: Path, segpipe: Call
) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    good = heic(quarters, 3, exif=tiff(6))
    (folder / "a.HEIC").write_bytes(good)
    Image.fromarray(quarters).save(folder / "b.avif", exif=b"Exif\0\0" + tiff(1))
    (folder / "cut.heic").write_bytes(good[: -len(good) // 3])
    (folder / "cut.avif").write_bytes((folder / "b.avif").read_bytes()[:-200])
    (folder / "head.heic").write_bytes(struct.pack(">I", 24) + b"ftypheic" + bytes(12))
    code, printed, _ = segpipe("run", folder, "-o", tmp_path / "out", *FAKE)
    assert code == 6
    assert "not read" not in printed
    rows = {Path(r["uri"]).name: r for r in frames_of(tmp_path / "out").to_dict("records")}
    assert {n for n, r in rows.items() if r["status"] == "ok"} == {"a.HEIC", "b.avif"}
    assert {n for n, r in rows.items() if r["status"] == "error"} == {
        "cut.heic",
        "cut.avif",
        "head.heic",
    }
    assert all(
        "can't be read as an image" in rows[n]["error"]
        for n in ("cut.heic", "cut.avif", "head.heic")
    )
    assert (rows["a.HEIC"]["width"], rows["a.HEIC"]["height"]) == (96, 160)
    for name in ("a.HEIC", "b.avif"):
        assert rows[name]["timestamp_source"] == "exif"
        assert rows[name]["timestamp"] == datetime(2026, 5, 1, 10, 0, 0, 250_000, UTC)
        assert rows[name]["latitude"] == pytest.approx(52.205)
