"""Colours of the sample drive, and boxes seen in perspective."""

from __future__ import annotations

from segpipe.training.sample.canvas import NEAR_M, Canvas
from segpipe.training.sample.world import Thing

WALLS = (
    (156, 112, 92),
    (178, 160, 136),
    (134, 124, 118),
    (196, 186, 168),
    (148, 92, 78),
    (168, 150, 120),
)


CARS = (
    (150, 30, 34),
    (40, 60, 110),
    (190, 192, 196),
    (32, 34, 38),
    (110, 116, 122),
    (224, 224, 226),
)


COATS = ((60, 60, 110), (130, 40, 50), (40, 90, 60), (40, 40, 44), (150, 120, 70))


LEAVES = 1100


SKIN = (206, 166, 142)


def shade(colour: tuple[int, int, int], factor: float) -> tuple[float, float, float]:
    """A colour made darker or lighter."""
    red, green, blue = (min(255.0, c * factor) for c in colour)
    return red, green, blue


def box(
    canvas: Canvas,
    t: Thing,
    s: float,
    near_d: float,
    far_d: float,
    colour: tuple[int, int, int],
    name: str,
    top: float,
    low: float = 0.0,
) -> None:
    """Front and side of an upright box; `near_d` is the edge towards the middle of the road."""
    a, b = max(s, canvas.camera_s + NEAR_M), s + t.length
    if b <= a:
        return
    if canvas.camera_s + NEAR_M < s:
        canvas.polygon(
            [(s, near_d, low), (s, far_d, low), (s, far_d, top), (s, near_d, top)],
            shade(colour, 0.78),
            name,
        )
    canvas.polygon(
        [(a, near_d, low), (b, near_d, low), (b, near_d, top), (a, near_d, top)], colour, name
    )
