"""Which way up a video is shown: the display matrix, as ffmpeg's autorotate and players apply
it."""

from __future__ import annotations

import gc
import io
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from segpipe.core.config.job import Sampling
from segpipe.core.types import Frame, UInt8
from segpipe.sources import open_shard
from segpipe.sources.video.file import VideoFile
from tests.footage import make_video

COLOURS = {"R": (220, 20, 20), "G": (20, 220, 20), "B": (20, 20, 220), "W": (220, 220, 220)}
WIDTH, HEIGHT = 96, 64


def quadrants() -> UInt8:
    """Red and green above, blue and white below."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    for place, name in enumerate("RGBW"):
        y, x = place // 2 * HEIGHT // 2, place % 2 * WIDTH // 2
        image[y : y + HEIGHT // 2, x : x + WIDTH // 2] = COLOURS[name]
    return image


def coded(path: Path) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=5, options={"crf": "5"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(3):
            frame = av.VideoFrame.from_ndarray(quadrants(), format="rgb24")
            frame.pts = number
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def with_matrix(path: Path, a: float, b: float, c: float, d: float) -> Path:
    """Put this matrix into the track header of an MP4 or MOV."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    a, b, c, d = (round(v * 65536) for v in (a, b, c, d))
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


def shown(path: Path) -> list[UInt8]:
    shards = VideoFile.open(path, Sampling()).shards(100)
    frames = [f for shard in shards for f in open_shard(shard, Sampling())]
    assert all(isinstance(f, Frame) for f in frames)
    assert len(frames) == 3
    return [f.rgb for f in frames if isinstance(f, Frame)]


def seen(rgb: UInt8, y: float, x: float) -> str:
    pixel = rgb[int(y * rgb.shape[0]), int(x * rgb.shape[1])].astype(int)
    near = [n for n, c in (*COLOURS.items(), ("k", (0, 0, 0))) if np.abs(pixel - c).max() < 40]
    return near[0] if near else "?"


def corners(rgb: UInt8) -> str:
    return "".join(seen(rgb, y, x) for y in (0.25, 0.75) for x in (0.25, 0.75))


UPRIGHT, TURNED = (HEIGHT, WIDTH, 3), (WIDTH, HEIGHT, 3)


@pytest.mark.parametrize("suffix", ["mp4", "mov"])
@pytest.mark.parametrize(
    ("matrix", "shape", "colours"),
    [
        ((1, 0, 0, 1), UPRIGHT, "RGBW"),  # as coded
        ((-1, 0, 0, 1), UPRIGHT, "GRWB"),  # left and right swapped
        ((-1, 0, 0, -1), UPRIGHT, "WBGR"),  # half a turn
        ((1, 0, 0, -1), UPRIGHT, "BWRG"),  # upside down, mirrored
        ((0, 1, 1, 0), TURNED, "RBGW"),  # rows for columns
        ((0, 1, -1, 0), TURNED, "BRWG"),  # a quarter clockwise
        ((0, -1, -1, 0), TURNED, "WGBR"),  # rows for columns along the other diagonal
        ((0, -1, 1, 0), TURNED, "GWRB"),  # a quarter counter-clockwise
        ((0, 2, -2, 0), TURNED, "BRWG"),  # a matrix that scales, too
    ],
)
def test_the_eight_orientations(
    suffix: str,
    matrix: tuple[int, int, int, int],
    shape: tuple[int, ...],
    colours: str,
    tmp_path: Path,
) -> None:
    for rgb in shown(with_matrix(coded(tmp_path / f"clip.{suffix}"), *matrix)):
        assert rgb.shape == shape
        assert corners(rgb) == colours
        assert rgb.flags.c_contiguous


@pytest.mark.parametrize(
    "matrix", [(0, 0, 0, 0), (1, 0, 0, 0), (0, 0, 0, 1), (0, 1, 0, 1), (0, 1, 0, 0)]
)
def test_a_matrix_that_is_no_turn_leaves_the_picture_as_it_is_coded(
    matrix: tuple[int, int, int, int], tmp_path: Path
) -> None:
    plain = shown(coded(tmp_path / "plain.mp4"))
    odd = shown(with_matrix(coded(tmp_path / "odd.mp4"), *matrix))
    assert np.array_equal(plain, odd)


def test_any_other_angle_is_turned_in_a_frame_of_the_same_size(tmp_path: Path) -> None:
    """45 degrees clockwise: the corners are black, red is at the top, green at the right."""
    half = 0.5**0.5
    for rgb in shown(with_matrix(coded(tmp_path / "clip.mp4"), half, half, -half, half)):
        assert rgb.shape == UPRIGHT
        assert {seen(rgb, y, x) for y in (0.02, 0.98) for x in (0.02, 0.98)} == {"k"}
        assert seen(rgb, 0.2, 0.5) + seen(rgb, 0.5, 0.7) == "RG"
        assert seen(rgb, 0.5, 0.3) + seen(rgb, 0.8, 0.5) == "BW"


def test_one_degree_is_not_worth_a_turn(tmp_path: Path) -> None:
    plain = shown(coded(tmp_path / "plain.mp4"))
    cos, sin = float(np.cos(np.radians(1))), float(np.sin(np.radians(1)))
    assert np.array_equal(
        plain, shown(with_matrix(coded(tmp_path / "odd.mp4"), cos, sin, -sin, cos))
    )


@pytest.mark.parametrize(
    ("orientation", "shape", "colours"),
    [
        (1, UPRIGHT, "RGBW"),
        (2, UPRIGHT, "GRWB"),
        (3, UPRIGHT, "WBGR"),
        (4, UPRIGHT, "BWRG"),
        (5, TURNED, "RBGW"),
        (6, TURNED, "BRWG"),
        (7, TURNED, "WGBR"),
        (8, TURNED, "GWRB"),
    ],
)
def test_motion_jpeg_whose_pictures_have_exif(
    orientation: int, shape: tuple[int, ...], colours: str, tmp_path: Path
) -> None:
    """FFmpeg makes a display matrix of the orientation, and hands over the EXIF block too."""
    exif, file = Image.Exif(), io.BytesIO()
    exif[0x0112] = orientation
    Image.fromarray(quadrants()).save(file, "JPEG", quality=95, exif=exif)
    with av.open(str(tmp_path / "clip.mov"), "w") as container:
        stream = container.add_stream("mjpeg", rate=5)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuvj420p"
        for number in range(3):
            packet = av.Packet(file.getvalue())
            packet.stream, packet.time_base, packet.is_keyframe = stream, Fraction(1, 5), True
            packet.pts = packet.dts = number
            container.mux(packet)
    for rgb in shown(tmp_path / "clip.mov"):
        assert rgb.shape == shape
        assert corners(rgb) == colours


def test_pictures_are_freed_while_a_video_is_read(tmp_path: Path) -> None:
    """Each holds the threads of a scaler: a few dozen, and no more could be started."""
    video = VideoFile.open(make_video(tmp_path / "a.mp4", frames=60), Sampling())
    (shard,) = video.shards(1000)
    gc.collect()
    others = pictures_held()  # by tests before this one
    most = 0
    for _ in video.frames(shard):
        most = max(most, pictures_held() - others)
    assert 0 < most < 10


def pictures_held() -> int:
    """Decoded pictures that this process still holds."""
    return sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
