"""Sky, road and pavements of the sample drive."""

from __future__ import annotations

import cv2
import numpy as np

from segpipe.training.sample.canvas import FAR_M, NEAR_M, Canvas
from segpipe.training.sample.shapes import shade
from segpipe.training.sample.world import PAVEMENT_END, ROAD_HALF


def sky_and_ground(canvas: Canvas) -> None:
    """The sky's gradient with clouds, the band of trees at the horizon, pavements and the road with
    its markings."""
    _sky(canvas)
    _trees(canvas)
    _street(canvas, canvas.camera_s + NEAR_M)


def _sky(canvas: Canvas) -> None:
    rows = np.linspace(0, 1, canvas.height)[:, None]
    top, low = np.array([96.0, 142, 200]), np.array([206.0, 220, 232])
    canvas.rgb[:] = (top + (low - top) * np.clip(rows * 2.0, 0, 1))[:, None, :].astype(np.uint8)
    for i in range(9):
        u = (i * 0.29 % 1.3 - 0.15) * canvas.width
        v, wide = (
            (0.05 + 0.035 * (i * 5 % 7)) * canvas.height,
            (0.06 + 0.02 * (i % 4)) * canvas.width,
        )
        cv2.ellipse(
            canvas.rgb,
            (round(u), round(v)),
            (round(wide), round(wide * 0.13)),
            0,
            0,
            360,
            (226, 232, 240),
            -1,
            cv2.LINE_AA,
        )


def _trees(canvas: Canvas) -> None:
    width = canvas.width
    across = np.linspace(0, width, 80)
    ridge = canvas.horizon - canvas.height * (
        0.035 + 0.012 * np.sin(across / width * 23) + 0.008 * np.sin(across / width * 61)
    )
    band = np.concatenate(
        [np.stack([across, ridge], 1), [[width, canvas.height], [0, canvas.height]]]
    )
    canvas.fill(band, (84, 102, 78), "tree")


def _street(canvas: Canvas, first: float) -> None:
    """Pavements, road and kerbs from `first` metres of the way on."""
    _strip(canvas, first, -30, 30, (128, 124, 118), "pavement")
    for side in (-1, 1):
        _strip(
            canvas,
            first,
            side * ROAD_HALF,
            side * PAVEMENT_END,
            (152, 148, 142),
            "pavement",
            tiles=True,
        )
    _strip(canvas, first, -ROAD_HALF, ROAD_HALF, (92, 92, 96), "road")
    for side in (-1, 1):
        _strip(
            canvas,
            first,
            side * (ROAD_HALF - 0.12),
            side * (ROAD_HALF + 0.12),
            (176, 172, 166),
            "pavement",
        )
    _markings(canvas, first)


def _strip(
    canvas: Canvas,
    first: float,
    left: float,
    right: float,
    colour: tuple[int, int, int],
    name: str,
    tiles: bool = False,
) -> None:
    s = first + np.concatenate([np.linspace(0, 12, 13), np.geomspace(13, FAR_M, 30)])
    edge = [np.stack([s, np.full_like(s, d), np.zeros_like(s)], 1) for d in (left, right)]
    canvas.polygon(np.concatenate([edge[0], edge[1][::-1]]), colour, name)
    if tiles:
        for k in np.arange(np.ceil(first / 1.5) * 1.5, first + 45, 1.5):
            corners = [
                (k, left, 0.0),
                (k, right, 0.0),
                (k + 0.05, right, 0.0),
                (k + 0.05, left, 0.0),
            ]
            canvas.polygon(corners, shade(colour, 0.9), name)


def _markings(canvas: Canvas, first: float) -> None:
    for s in np.arange(np.floor(first / 9) * 9, first + 110, 9.0):
        a, b = max(float(s), first), float(s) + 3.0
        if b > a:
            canvas.polygon(
                [(a, -0.07, 0), (a, 0.07, 0), (b, 0.07, 0), (b, -0.07, 0)], (222, 222, 216), "road"
            )
    for side in (-1, 1):
        _strip(canvas, first, side * 3.66, side * 3.56, (206, 206, 200), "road")
