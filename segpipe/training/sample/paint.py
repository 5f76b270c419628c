"""How each thing of the street looks."""

from __future__ import annotations

import numpy as np

from segpipe.training.sample.canvas import Canvas
from segpipe.training.sample.scenery import building, fence, pole, sign, tree
from segpipe.training.sample.shapes import CARS, COATS, SKIN, shade
from segpipe.training.sample.world import Thing


def car(canvas: Canvas, t: Thing, s: float, d: float) -> None:
    """Body, cabin, glass, lights and wheels; the back or the front is seen, and the side towards
    the camera."""
    colour, half = CARS[t.look % len(CARS)], t.width / 2
    inner = d + half if d < 1.6 else d - half
    outer = d - half if d < 1.6 else d + half
    canvas.polygon(
        [
            (s - 0.1, d - half, 0),
            (s - 0.1, d + half, 0),
            (s + t.length, d + half, 0),
            (s + t.length, d - half, 0),
        ],
        (52, 52, 56),
        "road",
    )
    for low, high, a, b, tone in (
        (0.25, 0.85, 0.0, t.length, 1.0),
        (0.85, t.height, 0.7, t.length - 0.9, 0.9),
    ):
        canvas.polygon(
            [(s + a, inner, low), (s + b, inner, low), (s + b, inner, high), (s + a, inner, high)],
            shade(colour, tone),
            "car",
        )
        canvas.polygon(
            [(s + a, inner, low), (s + a, outer, low), (s + a, outer, high), (s + a, inner, high)],
            shade(colour, 0.8 * tone),
            "car",
        )
    _glass(canvas, t, s, d, inner)
    _wheels_and_lights(canvas, t, s, d, inner)


def _glass(canvas: Canvas, t: Thing, s: float, d: float, inner: float) -> None:
    canvas.polygon(
        [
            (s + 0.95, inner, 0.9),
            (s + t.length - 1.1, inner, 0.9),
            (s + t.length - 1.3, inner, t.height - 0.12),
            (s + 1.0, inner, t.height - 0.12),
        ],
        (44, 52, 60),
        "car",
    )
    canvas.board(s + 0.7, d, 0.92, t.height - 0.1, t.width / 2 * 0.82, (40, 48, 58), "car")


def _wheels_and_lights(canvas: Canvas, t: Thing, s: float, d: float, inner: float) -> None:
    half = t.width / 2
    for k in (0.75, t.length - 0.8):
        canvas.polygon(
            [
                (s + k - 0.3, inner, 0.02),
                (s + k + 0.3, inner, 0.02),
                (s + k + 0.3, inner, 0.58),
                (s + k - 0.3, inner, 0.58),
            ],
            (24, 24, 26),
            "car",
        )
    lamp = (236, 232, 206) if t.speed < 0 else (186, 26, 28)
    for place in (d - half * 0.78, d + half * 0.78):
        canvas.board(s, place, 0.58, 0.76, half * 0.17, lamp, "car")
        canvas.board(s, place, 0.02, 0.3, half * 0.18, (22, 22, 24), "car")
    canvas.board(s, d, 0.42, 0.54, half * 0.3, (226, 226, 220), "car")


def pedestrian(canvas: Canvas, t: Thing, s: float, d: float, name: str = "pedestrian") -> None:
    """Legs in step, a coat, arms and a head."""
    coat, tall = COATS[t.look % len(COATS)], t.height
    step = 0.16 * np.sin((s + d) * 4.5 + t.look)
    for side in (-1, 1):
        foot = d + side * (0.09 + step)
        canvas.polygon(
            [
                (s, foot - 0.07, 0),
                (s, foot + 0.07, 0),
                (s, d + side * 0.1 + 0.07, tall * 0.5),
                (s, d + side * 0.1 - 0.09, tall * 0.5),
            ],
            (46, 48, 62),
            name,
        )
        canvas.board(s, d + side * 0.27, tall * 0.45, tall * 0.8, 0.06, shade(coat, 0.8), name)
    canvas.polygon(
        [
            (s, d - 0.24, tall * 0.45),
            (s, d + 0.24, tall * 0.45),
            (s, d + 0.21, tall * 0.84),
            (s, d - 0.21, tall * 0.84),
        ],
        coat,
        name,
    )
    canvas.ellipse((s, d, tall * 0.925), 0.11, 0.14, SKIN, name)
    canvas.ellipse((s, d, tall * 0.965), 0.115, 0.08, (58, 44, 36), name)


def bicyclist(canvas: Canvas, t: Thing, s: float, d: float) -> None:
    """A rider seen from behind on a narrow wheel."""
    canvas.board(s, d, 0, 0.68, 0.035, (26, 26, 28), "bicyclist")
    canvas.board(s, d, 0.95, 1.02, 0.28, (60, 60, 64), "bicyclist")
    raised = Thing("pedestrian", s, d, 0.4, 0.5, t.height, t.look)
    for side in (-1, 1):
        canvas.board(s, d + side * 0.14, 0.35, 0.95, 0.08, (46, 48, 62), "bicyclist")
    coat = COATS[raised.look % len(COATS)]
    canvas.polygon(
        [(s, d - 0.2, 0.85), (s, d + 0.2, 0.85), (s, d + 0.24, 1.45), (s, d - 0.24, 1.45)],
        coat,
        "bicyclist",
    )
    canvas.ellipse((s, d, 1.62), 0.12, 0.15, (176, 60, 40), "bicyclist")


PAINTERS = {
    "building": building,
    "fence": fence,
    "tree": tree,
    "pole": pole,
    "sign": sign,
    "car": car,
    "pedestrian": pedestrian,
    "bicyclist": bicyclist,
}
