"""The street of the sample drive: what stands where, made from a seed. Lengths in metres, times in
seconds.

A place is (s, d, z): along the road, sideways from its middle (right is positive), and up. The road
bends gently; its middle lies at `bend(s)` in a flat world.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

Kind = Literal["building", "fence", "tree", "pole", "sign", "car", "pedestrian", "bicyclist"]
ROAD_HALF, PAVEMENT_END = 4.0, 7.0
LENGTH_M = 420.0
CRUISE = 11.0
STOP_AT_S, WAIT_S, BRAKE_S = 10.0, 3.0, 2.5
CROSSING_M = 8.0
"""How far ahead of the waiting camera the pedestrian crosses."""


@dataclass(frozen=True, slots=True)
class Thing:
    """Something that stands or moves: at (s, d), `length` along the road, `width` across, `height`
    up; it moves with `speed` along and `drift` across the road. `look` picks colours and shapes."""

    kind: Kind
    s: float
    d: float
    length: float
    width: float
    height: float
    look: int = 0
    speed: float = 0.0
    drift: float = 0.0

    def place_at(self, time_s: float) -> tuple[float, float]:
        """Where it is at a time."""
        return self.s + self.speed * time_s, self.d + self.drift * time_s


def bend(s: float | np.ndarray) -> float | np.ndarray:
    """Sideways place of the road's middle in the flat world."""
    return 6.0 * np.sin(np.asarray(s) / 55.0)


def heading(s: float) -> float:
    """Direction of the road at s, in radians from the s axis, to the right positive."""
    return math.atan(6.0 / 55.0 * math.cos(s / 55.0))


def travelled(time_s: float) -> float:
    """Metres that the camera has gone: it cruises, brakes for a pedestrian, waits, and goes on."""
    phases = (
        (STOP_AT_S - BRAKE_S, 1.0, 1.0),
        (BRAKE_S, 1.0, 0.0),
        (WAIT_S, 0.0, 0.0),
        (BRAKE_S, 0.0, 1.0),
        (1e9, 1.0, 1.0),
    )
    metres = 0.0
    for duration, first, last in phases:
        t = min(time_s, duration)
        metres += CRUISE * (first * t + (last - first) * t * t / (2 * duration))
        time_s -= t
        if time_s <= 0:
            break
    return metres


def build(seed: int = 7) -> list[Thing]:
    """Everything along the street, the same for the same seed."""
    rng = np.random.default_rng(seed)
    things: list[Thing] = []
    for side in (-1, 1):
        things += _houses(rng, side) + _street_furniture(rng, side) + _parked_and_walking(rng, side)
    return things + _traffic(rng)


def _look(rng: np.random.Generator) -> int:
    """Which of the colours and shapes of its kind a thing has."""
    return int(rng.integers(99))


def _houses(rng: np.random.Generator, side: int) -> list[Thing]:
    found: list[Thing] = []
    s = -20.0
    while s < LENGTH_M:
        if rng.random() < 0.2:
            length = float(rng.uniform(6, 14))
            kind, behind = int(rng.integers(3)), side * (PAVEMENT_END + 4)
            found.append(Thing("fence", s, side * (PAVEMENT_END + 0.2), length, 0.1, 1.5, kind))
            height = float(rng.uniform(6, 9))
            found.append(Thing("tree", s + length / 2, behind, 5, 5, height, _look(rng)))
        else:
            length = float(rng.uniform(10, 22))
            height = float(rng.uniform(6, 15))
            front = side * (PAVEMENT_END + 0.3)
            found.append(Thing("building", s, front, length, 10, height, _look(rng)))
        s += length + float(rng.uniform(0.0, 1.0))
    return found


def _street_furniture(rng: np.random.Generator, side: int) -> list[Thing]:
    found = [
        Thing("pole", s, side * 4.7, 0.2, 0.2, 7.0, side)
        for s in np.arange(8.0 + 9 * side, LENGTH_M, 27.0)
    ]
    for s in np.arange(14.0 + 6 * side, LENGTH_M, 15.0):
        if rng.random() < 0.7:
            height = float(rng.uniform(4.5, 7.0))
            found.append(Thing("tree", float(s), side * 6.0, 3, 3, height, _look(rng)))
    for s in np.arange(22.0 + 8 * side, LENGTH_M, 38.0):
        found.append(Thing("sign", float(s), side * 4.9, 0.1, 0.8, 2.9, int(rng.integers(3))))
    return found


def _parked_and_walking(rng: np.random.Generator, side: int) -> list[Thing]:
    found = []
    for s in np.arange(30.0 + 5 * side, LENGTH_M, 17.0):
        if rng.random() < 0.5:
            found.append(Thing("car", float(s), side * 3.2, 4.3, 1.75, 1.5, _look(rng)))
    for s in np.arange(20.0, LENGTH_M, 13.0):
        if rng.random() < 0.75:
            speed = float(rng.choice([-1.3, 1.2, 1.4]))
            found.append(
                Thing(
                    "pedestrian",
                    float(s),
                    side * float(rng.uniform(5.1, 5.7)),
                    0.4,
                    0.55,
                    float(rng.uniform(1.6, 1.9)),
                    _look(rng),
                    speed,
                )
            )
    return found


def _traffic(rng: np.random.Generator) -> list[Thing]:
    oncoming = [
        Thing("car", 60.0 + 62 * i, -1.6, 4.4, 1.8, 1.5, _look(rng), -9.0) for i in range(8)
    ]
    crossing_s = travelled(STOP_AT_S) + CROSSING_M
    start = STOP_AT_S - 1.0  # steps off the kerb while the camera brakes
    crossing = Thing("pedestrian", crossing_s, 4.6 + 1.8 * start, 0.4, 0.6, 1.75, 5, 0.0, -1.8)
    riders = [
        Thing("bicyclist", 34.0 + 120 * i, 4.35, 1.7, 0.6, 1.75, _look(rng), 4.5) for i in range(3)
    ]
    ahead = Thing("car", 26.0, 1.6, 4.4, 1.8, 1.45, 17, CRUISE + 1.5)
    return [*oncoming, crossing, *riders, ahead]
