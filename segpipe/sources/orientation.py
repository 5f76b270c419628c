"""Pictures turned and mirrored by their display matrix, exactly as ffmpeg's autorotate does."""

from __future__ import annotations

import math
import struct
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.filter import Graph
from av.sidedata.sidedata import SideDataContainer, Type

from segpipe.core.types import UInt8

_MATRIX = struct.Struct("=9i")
_ONE = 1 << 16
"""1.0 in the matrix's fixed-point numbers."""
_UNNAMED = sorted(set(range(40)) - {kind.value for kind in Type})


def upright_rgb(picture: av.VideoFrame) -> UInt8:
    """RGB uint8 [H, W, 3] as players show it: turned and mirrored by its display matrix."""
    matrix = display_matrix(picture)
    if matrix is None:
        return _rgb(picture)
    theta = clockwise_degrees(matrix)
    if not math.isnan(theta) and theta > 1 and theta not in (90, 180, 270):
        # By any other angle, in a frame of the same size with black corners.
        return _rgb(_filtered(picture, ("rotate", f"{theta}*PI/180")))
    return np.ascontiguousarray(_quarter_turned(_rgb(picture), matrix, theta))


def display_matrix(picture: av.VideoFrame) -> tuple[int, ...] | None:
    """The 3 x 3 matrix that comes with a picture, row by row in fixed-point numbers, or None."""
    try:
        side_data = _side_data(picture)
    except ValueError:  # PyAV raises it for the kinds, EXIF is one, that it has no name for
        side_data = _side_data(_filtered(picture, *(("sidedata", f"delete:{n}") for n in _UNNAMED)))
    for data in side_data:
        if data.type == Type.DISPLAYMATRIX and data.buffer_size == _MATRIX.size:
            return _MATRIX.unpack(bytes(data))
    return None


def _side_data(picture: av.VideoFrame) -> Any:
    """What `picture.side_data` is, but not kept by the picture. The two would refer to each other,
    and pictures with their buffers and a scaler's threads would pile up until no thread can be
    started."""
    container: Any = SideDataContainer  # PyAV's stubs leave out what it is made of
    return container(picture)


def clockwise_degrees(matrix: tuple[int, ...]) -> float:
    """The turn in a display matrix, in whole degrees from 0 up to 360; NaN if it is none
    (zeros)."""
    a, b, c, d = (matrix[i] / _ONE for i in (0, 1, 3, 4))
    across, down = math.hypot(a, c), math.hypot(b, d)
    if across == 0.0 or down == 0.0:
        return math.nan
    return float(round(math.degrees(math.atan2(b / down, a / across))) % 360)


def _rgb(picture: av.VideoFrame) -> UInt8:
    return np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)


def _quarter_turned(rgb: UInt8, matrix: tuple[int, ...], theta: float) -> UInt8:
    """The eight orientations. The signs in the matrix tell a mirrored picture from one that is only
    turned; a picture whose matrix is no turn at all stays as it is coded."""
    if theta == 90:
        return rgb.transpose(1, 0, 2) if matrix[3] > 0 else np.rot90(rgb, -1)
    if theta == 270:
        return np.rot90(rgb, 2).transpose(1, 0, 2) if matrix[3] < 0 else np.rot90(rgb, 1)
    if theta == 180:
        rgb = rgb[:, ::-1] if matrix[0] < 0 else rgb
        return rgb[::-1] if matrix[4] < 0 else rgb
    return rgb[::-1] if theta == 0 and matrix[4] < 0 else rgb


def _filtered(picture: av.VideoFrame, *filters: tuple[str, str]) -> av.VideoFrame:
    """The picture as it comes out of these filters of FFmpeg, each with its arguments."""
    graph = Graph()
    source = graph.add_buffer(
        width=picture.width,
        height=picture.height,
        format=picture.format,
        time_base=picture.time_base or Fraction(1, 1000),
    )
    graph.link_nodes(source, *(graph.add(*f) for f in filters), graph.add("buffersink")).configure()
    graph.vpush(picture)
    filtered = graph.vpull()
    assert isinstance(filtered, av.VideoFrame)  # noqa: S101 - for mypy
    return filtered
