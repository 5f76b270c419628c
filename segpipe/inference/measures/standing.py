"""What stands still in a moving picture: edges, and by them the burnt-in text and the bonnet."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

PRESENT = 20
"""Percentile over the frames of the gradient along its mean direction: an edge must be there in all
but so many per cent."""
EDGE = 4.0
"""Grey levels per pixel that a standing edge has at least."""
LETTERS = 10.0
"""Mean gradient of letters; clouds and roofs far away stand still for a while too, but are
softer."""
LOWER = 0.6
"""A bonnet begins in the part of the picture below this share of its height."""
FLAT = 0.6
"""Largest ratio of the gradient across to the gradient down at a bonnet's border."""
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class StandingEdges:
    """Where edges stand, bool [H, W], and the mean gradient there: `x` and `y` float32 [H, W], grey
    levels per pixel."""

    there: Mask
    x: NDArray[np.float32]
    y: NDArray[np.float32]


def standing_edges(stack: NDArray[np.float32]) -> StandingEdges:
    """The edges that are there in nearly all grey frames, float32 [N, H, W]."""
    xs = np.stack([cv2.Sobel(grey, cv2.CV_32F, 1, 0, scale=0.125) for grey in stack])
    ys = np.stack([cv2.Sobel(grey, cv2.CV_32F, 0, 1, scale=0.125) for grey in stack])
    x, y = xs.mean(axis=0), ys.mean(axis=0)
    strength = np.hypot(x, y) + 1e-6
    along = (xs * x + ys * y) / strength
    return StandingEdges(np.percentile(along, PRESENT, axis=0) > EDGE, x, y)


def burnt_in_text(edges: StandingEdges) -> Mask:
    """Close groups of strong standing edges near the top or the bottom; a changing digit between
    letters belongs to them."""
    height, width = edges.there.shape
    strength = np.hypot(edges.x, edges.y)
    strong = (edges.there & (strength > LETTERS)).astype(np.float32)

    def nearby(values: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(cv2.blur(values * strong, (21, 9)), np.float32)

    # A letter's left and right edges point against each other; a roof's point one way.
    one_way = np.hypot(nearby(edges.x), nearby(edges.y)) / np.maximum(1e-6, nearby(strength))
    written = (cv2.blur(strong, (15, 5)) > 0.3) & (one_way < 0.5)
    joined = cv2.morphologyEx(written.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((5, 25), np.uint8))
    number, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    found = np.zeros((height, width), bool)
    for x, y, w, h, _area in stats[1:number]:
        at_border = y + h < 0.25 * height or y > 0.75 * height
        if at_border and w >= 24 and 4 <= h < 0.15 * height and w > 1.5 * h:
            found[max(0, y - 2) : y + h + 2, max(0, x - 4) : x + w + 4] = True
    return found


def bonnet(edges: StandingEdges, deviation: NDArray[np.float32]) -> Mask:
    """From the bottom up to a flat standing edge, where the grey levels hardly vary in between;
    `deviation` float32 [H, W] is that over time."""
    height, width = deviation.shape
    nothing = np.zeros((height, width), bool)
    flat = edges.there & (np.abs(edges.x) < FLAT * np.abs(edges.y))
    flat[: int(LOWER * height)] = False
    quiet = (
        cv2.blur(
            (deviation < max(4.0, 0.5 * float(np.median(deviation)))).astype(np.float32), (5, 5)
        )
        > 0.5
    )
    columns, tops = [], []
    for column in range(width):
        loud = np.flatnonzero(~(quiet[:, column] | edges.there[:, column]))
        free = max(0, int(loud[-1]) - 3) if len(loud) else 0  # above it, something varies
        lines = np.flatnonzero(flat[free:, column])
        if len(lines) and free < height - 6:
            columns.append(column)
            tops.append(free + int(lines[0]))
    if len(columns) < 0.25 * width:
        return nothing
    border, agreeing = _parabola(np.array(columns), np.array(tops, np.float64), width, height)
    found = np.arange(height)[:, None] >= border[None, :]
    steady = float(quiet[found].mean()) if found.any() else 0.0
    return found if agreeing >= 0.25 * width and steady > 0.8 else nothing


def _parabola(
    columns: NDArray[np.int64], tops: NDArray[np.float64], width: int, height: int
) -> tuple[NDArray[np.float64], int]:
    """A parabola through most of the points, float64 [W], and the number of those that lie on it:
    at each round the points that are far off are left out."""
    keep = np.ones(len(columns), bool)
    every = np.arange(width)
    for _ in range(6):
        fit = np.polynomial.Polynomial.fit(columns[keep], tops[keep], 2)
        off = np.abs(fit(columns) - tops)
        keep = off <= max(0.01 * height, 2.0 * float(np.median(off)))
        if keep.sum() < 8:
            return np.full(width, float(height)), 0
    keep = off <= 0.01 * height
    border = fit(every)
    border[columns[keep]] = np.minimum(border[columns[keep]], tops[keep])
    return border, int(keep.sum())
