"""A picture and its label map, painted together in perspective."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from segpipe.core.types import UInt8
from segpipe.training.sample.world import bend, heading

CLASSES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
LABEL = {name: i for i, name in enumerate(CLASSES)}
CAMERA_HEIGHT_M, CAMERA_D, NEAR_M, FAR_M = 1.35, 1.6, 1.2, 170.0
_SHIFT = 4
Point = tuple[float, float, float]
Colour = Sequence[float]


class Canvas:
    """What the camera sees at `camera_s`: `rgb` uint8 [H, W, 3] and `labels` uint8 [H, W]. Nearer
    things are painted later, over farther ones."""

    def __init__(self, width: int, height: int, camera_s: float) -> None:
        self.width, self.height = width, height
        self.rgb: UInt8 = np.zeros((height, width, 3), np.uint8)
        self.labels: UInt8 = np.zeros((height, width), np.uint8)
        self.camera_s = camera_s
        self.focal = 0.72 * width
        self.horizon = 0.46 * height
        angle = heading(camera_s)
        self._sin, self._cos = np.sin(angle), np.cos(angle)
        self._eye_x = camera_s - CAMERA_D * self._sin
        self._eye_y = float(bend(camera_s)) + CAMERA_D * self._cos

    def project(self, points: Sequence[Point] | NDArray[np.float64]) -> NDArray[np.float64]:
        """Picture positions [N, 2] and depth in metres, together [N, 3], of places (s, d, z) [N,
        3]."""
        p = np.asarray(points, np.float64)
        x, y = p[:, 0] - self._eye_x, bend(p[:, 0]) + p[:, 1] - self._eye_y
        depth = np.maximum(x * self._cos + y * self._sin, 0.2)
        side = y * self._cos - x * self._sin
        u = self.width / 2 + self.focal * side / depth
        v = self.horizon + self.focal * (CAMERA_HEIGHT_M - p[:, 2]) / depth
        return np.stack([u, v, depth], axis=1)

    def depth(self, s: float) -> float:
        """Metres ahead of the camera."""
        return (
            float(self.project([(s, CAMERA_D, 0.0)])[0, 2])
            if s > self.camera_s
            else s - self.camera_s
        )

    def polygon(
        self, points: Sequence[Point] | NDArray[np.float64], colour: Colour, name: str
    ) -> None:
        """Fill a polygon of places in the world."""
        self.fill(self.project(points)[:, :2], colour, name)

    def fill(self, corners: NDArray[np.float64], colour: Colour, name: str) -> None:
        """Fill a polygon of picture positions [N, 2]."""
        limit = 8.0 * self.width
        fixed = np.round(np.clip(corners, -limit, limit) * (1 << _SHIFT)).astype(np.int32)
        cv2.fillPoly(self.rgb, [fixed], tuple(map(float, colour)), cv2.LINE_AA, _SHIFT)
        cv2.fillPoly(self.labels, [fixed], (LABEL[name],), cv2.LINE_8, _SHIFT)

    def ellipse(self, centre: Point, across: float, up: float, colour: Colour, name: str) -> None:
        """Fill an upright ellipse with half axes in metres."""
        u, v, depth = self.project([centre])[0]
        axes = (max(1, round(self.focal * across / depth)), max(1, round(self.focal * up / depth)))
        middle = (round(float(np.clip(u, -1e4, 1e4))), round(float(np.clip(v, -1e4, 1e4))))
        cv2.ellipse(self.rgb, middle, axes, 0, 0, 360, tuple(map(float, colour)), -1, cv2.LINE_AA)
        cv2.ellipse(self.labels, middle, axes, 0, 0, 360, (LABEL[name],), -1, cv2.LINE_8)

    def dots(
        self,
        points: NDArray[np.float64],
        sizes: NDArray[np.float64],
        colours: NDArray[np.float64],
        name: str,
    ) -> None:
        """Fill many small discs: places [N, 3], radii in metres [N], colours [N, 3]. Less than a
        pixel isn't drawn."""
        placed = self.project(points)
        radii = self.focal * sizes / placed[:, 2]
        for (u, v, _), radius, colour in zip(placed, radii, colours, strict=True):
            if radius >= 0.5 and abs(u) < 1e4 and abs(v) < 1e4:
                middle, whole = (round(float(u)), round(float(v))), max(1, round(float(radius)))
                cv2.circle(self.rgb, middle, whole, tuple(map(float, colour)), -1, cv2.LINE_AA)
                cv2.circle(self.labels, middle, whole, (LABEL[name],), -1, cv2.LINE_8)

    def board(
        self, s: float, d: float, low: float, high: float, half: float, colour: Colour, name: str
    ) -> None:
        """An upright rectangle that faces the camera."""
        self.polygon(
            [(s, d - half, low), (s, d + half, low), (s, d + half, high), (s, d - half, high)],
            colour,
            name,
        )
