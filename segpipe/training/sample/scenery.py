"""What stands along the sample drive: buildings, fences, trees, poles and signs."""

from __future__ import annotations

import numpy as np

from segpipe.training.sample.canvas import NEAR_M, Canvas
from segpipe.training.sample.shapes import LEAVES, WALLS, box, shade
from segpipe.training.sample.world import Thing


def building(canvas: Canvas, t: Thing, s: float, d: float) -> None:
    """A house with windows on each floor and a door."""
    wall = WALLS[t.look % len(WALLS)]
    box(canvas, t, s, d, d + np.sign(d) * t.width, wall, "building", t.height)
    first = canvas.camera_s + NEAR_M
    glass = (58, 66, 78) if t.look % 2 else (84, 98, 112)
    for floor in range(int(t.height // 3)):
        for k in np.arange(s + 1.2, s + t.length - 1.5, 2.6):
            a, b = max(float(k), first), float(k) + 1.3
            low, high = (
                floor * 3 + (0.1 if floor == 0 and t.look % 3 == int(k) % 3 else 1.0),
                floor * 3 + 2.4,
            )
            if b > a:
                canvas.polygon(
                    [(a, d, low), (b, d, low), (b, d, high), (a, d, high)], glass, "building"
                )
    a, b = max(s, first), s + t.length
    if b > a:
        canvas.polygon(
            [(a, d, t.height - 0.35), (b, d, t.height - 0.35), (b, d, t.height), (a, d, t.height)],
            shade(wall, 0.6),
            "building",
        )


def fence(canvas: Canvas, t: Thing, s: float, d: float) -> None:
    """Boards with gaps that show darker boards behind."""
    colour = ((110, 84, 60), (90, 96, 92), (140, 132, 120))[t.look % 3]
    box(canvas, t, s, d, d, colour, "fence", t.height)
    for k in np.arange(max(s, canvas.camera_s + NEAR_M), s + t.length, 0.4):
        canvas.polygon(
            [(k, d, 0.1), (k + 0.06, d, 0.1), (k + 0.06, d, t.height), (k, d, t.height)],
            shade(colour, 0.6),
            "fence",
        )


def tree(canvas: Canvas, t: Thing, s: float, d: float) -> None:
    """A trunk and a crown of overlapping boughs with leaves, darker below."""
    canvas.board(s, d, 0, t.height * 0.45, 0.16, (82, 66, 52), "tree")
    rng = np.random.default_rng(t.look)
    boughs = []
    for level in (0.0, 0.5, 1.0):
        for _ in range(7):
            across, up = rng.normal(0, 0.22, 2)
            size = float(rng.uniform(0.14, 0.24)) * t.height
            green = shade((78, 108, 56), 0.72 + 0.28 * level + float(rng.uniform(-0.08, 0.08)))
            centre = (
                s,
                d + float(across) * t.width,
                t.height * (0.56 + 0.16 * level + 0.2 * float(up)),
            )
            canvas.ellipse(centre, size, size * 0.85, green, "tree")
            boughs.append((centre[1], centre[2], size))
    _leaves(canvas, t, s, np.array(boughs))


def _leaves(canvas: Canvas, t: Thing, s: float, boughs: np.ndarray) -> None:
    """Tufts of leaves all over the boughs (place, height and size, [N, 3]): a crown of one colour
    looks like a sign."""
    rng = np.random.default_rng((t.look, LEAVES))
    place, height, size = boughs[rng.integers(0, len(boughs), LEAVES)].T
    angle, out = rng.uniform(0, 2 * np.pi, LEAVES), np.sqrt(rng.uniform(0, 1, LEAVES))
    up = height + size * 0.85 * out * np.sin(angle)
    points = np.stack([np.full(LEAVES, s), place + size * out * np.cos(angle), up], 1)
    light = np.clip(0.85 + 1.4 * (up / t.height - 0.68) + rng.normal(0, 0.3, LEAVES), 0.3, 1.7)
    colours = np.clip(
        np.array([74.0, 98, 50]) * light[:, None] + rng.normal(0, 7, (LEAVES, 3)), 0, 255
    )
    canvas.dots(points, rng.uniform(0.004, 0.018, LEAVES) * t.height, colours, "tree")


def pole(canvas: Canvas, t: Thing, s: float, d: float) -> None:
    """A lamp post with its arm over the road."""
    canvas.board(s, d, 0, t.height, 0.07, (98, 100, 102), "pole")
    reach = d - np.sign(d) * 1.6
    canvas.polygon(
        [
            (s, d, t.height),
            (s, reach, t.height),
            (s, reach, t.height - 0.12),
            (s, d, t.height - 0.12),
        ],
        (98, 100, 102),
        "pole",
    )


def sign(canvas: Canvas, t: Thing, s: float, d: float) -> None:
    """A round, a triangular or a square traffic sign on its post."""
    canvas.board(s, d, 0, 2.2, 0.04, (120, 122, 124), "pole")
    if t.look == 0:
        canvas.ellipse((s, d, 2.5), 0.4, 0.4, (190, 28, 36), "sign")
        canvas.ellipse((s, d, 2.5), 0.29, 0.29, (236, 236, 234), "sign")
    elif t.look == 1:
        canvas.polygon(
            [(s, d - 0.45, 2.15), (s, d + 0.45, 2.15), (s, d, 2.95)], (190, 28, 36), "sign"
        )
        canvas.polygon(
            [(s, d - 0.28, 2.25), (s, d + 0.28, 2.25), (s, d, 2.75)], (236, 236, 234), "sign"
        )
    else:
        canvas.board(s, d, 2.1, 2.9, 0.4, (30, 76, 160), "sign")
        canvas.board(s, d, 2.3, 2.7, 0.12, (232, 234, 238), "sign")
