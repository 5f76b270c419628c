"""How each thing of the street looks."""

from __future__ import annotations

import cv2
import numpy as np

from segpipe.sample.canvas import FAR_M, NEAR_M, Canvas
from segpipe.sample.world import PAVEMENT_END, ROAD_HALF, Thing

WALLS = ((156, 112, 92), (178, 160, 136), (134, 124, 118), (196, 186, 168), (148, 92, 78), (168, 150, 120))
CARS = ((150, 30, 34), (40, 60, 110), (190, 192, 196), (32, 34, 38), (110, 116, 122), (224, 224, 226))
COATS = ((60, 60, 110), (130, 40, 50), (40, 90, 60), (40, 40, 44), (150, 120, 70))
LEAVES = 1100
SKIN = (206, 166, 142)


def shade(colour: tuple[int, int, int], factor: float) -> tuple[float, float, float]:
    """A colour made darker or lighter."""
    red, green, blue = (min(255.0, c * factor) for c in colour)
    return red, green, blue


def sky_and_ground(canvas: Canvas) -> None:
    """The sky's gradient with clouds, the band of trees at the horizon, pavements and the road with its markings."""
    rows = np.linspace(0, 1, canvas.height)[:, None]
    top, low = np.array([96.0, 142, 200]), np.array([206.0, 220, 232])
    canvas.rgb[:] = (top + (low - top) * np.clip(rows * 2.0, 0, 1))[:, None, :].astype(np.uint8)
    for i in range(9):
        u = (i * 0.29 % 1.3 - 0.15) * canvas.width
        v, wide = (0.05 + 0.035 * (i * 5 % 7)) * canvas.height, (0.06 + 0.02 * (i % 4)) * canvas.width
        cv2.ellipse(
            canvas.rgb, (round(u), round(v)), (round(wide), round(wide * 0.13)), 0, 0, 360, (226, 232, 240), -1, cv2.LINE_AA
        )
    width = canvas.width
    across = np.linspace(0, width, 80)
    ridge = canvas.horizon - canvas.height * (0.035 + 0.012 * np.sin(across / width * 23) + 0.008 * np.sin(across / width * 61))
    band = np.concatenate([np.stack([across, ridge], 1), [[width, canvas.height], [0, canvas.height]]])
    canvas.fill(band, (84, 102, 78), "tree")
    first = canvas.camera_s + NEAR_M
    _strip(canvas, first, -30, 30, (128, 124, 118), "pavement")
    for side in (-1, 1):
        _strip(canvas, first, side * ROAD_HALF, side * PAVEMENT_END, (152, 148, 142), "pavement", tiles=True)
    _strip(canvas, first, -ROAD_HALF, ROAD_HALF, (92, 92, 96), "road")
    for side in (-1, 1):
        _strip(canvas, first, side * (ROAD_HALF - 0.12), side * (ROAD_HALF + 0.12), (176, 172, 166), "pavement")
    _markings(canvas, first)


def _strip(
    canvas: Canvas, first: float, left: float, right: float, colour: tuple[int, int, int], name: str, tiles: bool = False
) -> None:
    s = first + np.concatenate([np.linspace(0, 12, 13), np.geomspace(13, FAR_M, 30)])
    edge = [np.stack([s, np.full_like(s, d), np.zeros_like(s)], 1) for d in (left, right)]
    canvas.polygon(np.concatenate([edge[0], edge[1][::-1]]), colour, name)
    if tiles:
        for k in np.arange(np.ceil(first / 1.5) * 1.5, first + 45, 1.5):
            corners = [(k, left, 0.0), (k, right, 0.0), (k + 0.05, right, 0.0), (k + 0.05, left, 0.0)]
            canvas.polygon(corners, shade(colour, 0.9), name)


def _markings(canvas: Canvas, first: float) -> None:
    for s in np.arange(np.floor(first / 9) * 9, first + 110, 9.0):
        a, b = max(float(s), first), float(s) + 3.0
        if b > a:
            canvas.polygon([(a, -0.07, 0), (a, 0.07, 0), (b, 0.07, 0), (b, -0.07, 0)], (222, 222, 216), "road")
    for side in (-1, 1):
        _strip(canvas, first, side * 3.66, side * 3.56, (206, 206, 200), "road")


def _box(
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
        canvas.polygon([(s, near_d, low), (s, far_d, low), (s, far_d, top), (s, near_d, top)], shade(colour, 0.78), name)
    canvas.polygon([(a, near_d, low), (b, near_d, low), (b, near_d, top), (a, near_d, top)], colour, name)


def building(canvas: Canvas, t: Thing, s: float, d: float) -> None:
    """A house with windows on each floor and a door."""
    wall = WALLS[t.look % len(WALLS)]
    _box(canvas, t, s, d, d + np.sign(d) * t.width, wall, "building", t.height)
    first = canvas.camera_s + NEAR_M
    glass = (58, 66, 78) if t.look % 2 else (84, 98, 112)
    for floor in range(int(t.height // 3)):
        for k in np.arange(s + 1.2, s + t.length - 1.5, 2.6):
            a, b = max(float(k), first), float(k) + 1.3
            low, high = floor * 3 + (0.1 if floor == 0 and t.look % 3 == int(k) % 3 else 1.0), floor * 3 + 2.4
            if b > a:
                canvas.polygon([(a, d, low), (b, d, low), (b, d, high), (a, d, high)], glass, "building")
    a, b = max(s, first), s + t.length
    if b > a:
        canvas.polygon(
            [(a, d, t.height - 0.35), (b, d, t.height - 0.35), (b, d, t.height), (a, d, t.height)], shade(wall, 0.6), "building"
        )


def fence(canvas: Canvas, t: Thing, s: float, d: float) -> None:
    """Boards with gaps that show darker boards behind."""
    colour = ((110, 84, 60), (90, 96, 92), (140, 132, 120))[t.look % 3]
    _box(canvas, t, s, d, d, colour, "fence", t.height)
    for k in np.arange(max(s, canvas.camera_s + NEAR_M), s + t.length, 0.4):
        canvas.polygon([(k, d, 0.1), (k + 0.06, d, 0.1), (k + 0.06, d, t.height), (k, d, t.height)], shade(colour, 0.6), "fence")


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
            centre = (s, d + float(across) * t.width, t.height * (0.56 + 0.16 * level + 0.2 * float(up)))
            canvas.ellipse(centre, size, size * 0.85, green, "tree")
            boughs.append((centre[1], centre[2], size))
    _leaves(canvas, t, s, np.array(boughs))


def _leaves(canvas: Canvas, t: Thing, s: float, boughs: np.ndarray) -> None:
    """Tufts of leaves all over the boughs (place, height and size, [N, 3]): a crown of one colour looks like a sign."""
    rng = np.random.default_rng((t.look, LEAVES))
    place, height, size = boughs[rng.integers(0, len(boughs), LEAVES)].T
    angle, out = rng.uniform(0, 2 * np.pi, LEAVES), np.sqrt(rng.uniform(0, 1, LEAVES))
    up = height + size * 0.85 * out * np.sin(angle)
    points = np.stack([np.full(LEAVES, s), place + size * out * np.cos(angle), up], 1)
    light = np.clip(0.85 + 1.4 * (up / t.height - 0.68) + rng.normal(0, 0.3, LEAVES), 0.3, 1.7)
    colours = np.clip(np.array([74.0, 98, 50]) * light[:, None] + rng.normal(0, 7, (LEAVES, 3)), 0, 255)
    canvas.dots(points, rng.uniform(0.004, 0.018, LEAVES) * t.height, colours, "tree")


def pole(canvas: Canvas, t: Thing, s: float, d: float) -> None:
    """A lamp post with its arm over the road."""
    canvas.board(s, d, 0, t.height, 0.07, (98, 100, 102), "pole")
    reach = d - np.sign(d) * 1.6
    canvas.polygon(
        [(s, d, t.height), (s, reach, t.height), (s, reach, t.height - 0.12), (s, d, t.height - 0.12)], (98, 100, 102), "pole"
    )


def sign(canvas: Canvas, t: Thing, s: float, d: float) -> None:
    """A round, a triangular or a square traffic sign on its post."""
    canvas.board(s, d, 0, 2.2, 0.04, (120, 122, 124), "pole")
    if t.look == 0:
        canvas.ellipse((s, d, 2.5), 0.4, 0.4, (190, 28, 36), "sign")
        canvas.ellipse((s, d, 2.5), 0.29, 0.29, (236, 236, 234), "sign")
    elif t.look == 1:
        canvas.polygon([(s, d - 0.45, 2.15), (s, d + 0.45, 2.15), (s, d, 2.95)], (190, 28, 36), "sign")
        canvas.polygon([(s, d - 0.28, 2.25), (s, d + 0.28, 2.25), (s, d, 2.75)], (236, 236, 234), "sign")
    else:
        canvas.board(s, d, 2.1, 2.9, 0.4, (30, 76, 160), "sign")
        canvas.board(s, d, 2.3, 2.7, 0.12, (232, 234, 238), "sign")


def car(canvas: Canvas, t: Thing, s: float, d: float) -> None:
    """Body, cabin, glass, lights and wheels; the back or the front is seen, and the side towards the camera."""
    colour, half = CARS[t.look % len(CARS)], t.width / 2
    inner = d + half if d < 1.6 else d - half
    outer = d - half if d < 1.6 else d + half
    canvas.polygon(
        [(s - 0.1, d - half, 0), (s - 0.1, d + half, 0), (s + t.length, d + half, 0), (s + t.length, d - half, 0)],
        (52, 52, 56),
        "road",
    )
    for low, high, a, b, tone in ((0.25, 0.85, 0.0, t.length, 1.0), (0.85, t.height, 0.7, t.length - 0.9, 0.9)):
        canvas.polygon(
            [(s + a, inner, low), (s + b, inner, low), (s + b, inner, high), (s + a, inner, high)], shade(colour, tone), "car"
        )
        canvas.polygon(
            [(s + a, inner, low), (s + a, outer, low), (s + a, outer, high), (s + a, inner, high)], shade(colour, 0.8 * tone), "car"
        )
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
    canvas.board(s + 0.7, d, 0.92, t.height - 0.1, half * 0.82, (40, 48, 58), "car")
    for k in (0.75, t.length - 0.8):
        canvas.polygon(
            [(s + k - 0.3, inner, 0.02), (s + k + 0.3, inner, 0.02), (s + k + 0.3, inner, 0.58), (s + k - 0.3, inner, 0.58)],
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
        [(s, d - 0.24, tall * 0.45), (s, d + 0.24, tall * 0.45), (s, d + 0.21, tall * 0.84), (s, d - 0.21, tall * 0.84)], coat, name
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
    canvas.polygon([(s, d - 0.2, 0.85), (s, d + 0.2, 0.85), (s, d + 0.24, 1.45), (s, d - 0.24, 1.45)], coat, "bicyclist")
    canvas.ellipse((s, d, 1.62), 0.12, 0.15, (176, 60, 40), "bicyclist")


PAINTERS = {
    "building": building, "fence": fence, "tree": tree, "pole": pole, "sign": sign, "car": car,
    "pedestrian": pedestrian, "bicyclist": bicyclist,
}  # fmt: skip
