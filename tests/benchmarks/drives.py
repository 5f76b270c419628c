"""A city that was driven through twenty times: clips for a dataset of the size that the analytics
are measured on."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np

from tests.synthetic import METRES_PER_DEGREE, Clip

DRIVES, CLIPS = 20, 3
PER_SECOND = 2.0
HOME = (51.507, -0.128)
BLOCK = 120.0
"""Metres between two streets."""
# Mean share of each class in the whole frame, and how that differs in the regions.
MEANS = {
    "sky": 0.17,
    "building": 0.2,
    "pole": 0.015,
    "road": 0.27,
    "pavement": 0.06,
    "tree": 0.15,
    "sign": 0.012,
    "fence": 0.03,
    "car": 0.07,
    "pedestrian": 0.013,
    "bicyclist": 0.01,
}
REGIONS = ("frame", "left", "right", "near", "middle", "far", "path")


def city(frames: int = 150_000, seed: int = 7) -> Iterator[Clip]:
    """The clips, drive after drive; streets are shared, so that cells are passed several times."""
    rng = np.random.default_rng(seed)
    share = frames // (DRIVES * CLIPS)
    for drive in range(DRIVES):
        start = datetime(2026, 5, 1 + drive, 7 + drive % 11, 12, tzinfo=UTC)
        speed, way = _drive(rng, share * CLIPS)
        east, north = _streets(rng, way)
        # The same place is as green for every drive.
        green = 0.5 + 0.5 * np.sin(east / 300) * np.cos(north / 250)
        for index in range(CLIPS):
            part = slice(index * share, (index + 1) * share)
            yield Clip(
                f"drive{drive:02d}-{index}",
                share,
                _shares(rng, share, green[part]),
                f"drive{drive:02d}",
                index,
                1 / PER_SECOND,
                start + timedelta(seconds=index * (share / PER_SECOND + 2)),
                gap_before_s=2.0 if index else None,
                latitude=HOME[0] + north[part] / METRES_PER_DEGREE,
                longitude=HOME[1] + east[part] / (METRES_PER_DEGREE * np.cos(np.radians(HOME[0]))),
                odometer_m=way[part] - way[part][0],
                speed_mps=speed[part],
                usable=rng.random(share) > 0.04,
                columns={
                    "brightness": rng.normal(110, 25, share),
                    "sharpness": rng.gamma(3, 30, share),
                },
            )


def _drive(rng: np.random.Generator, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Speed in m/s and metres since the start, with red lights."""
    speed = np.clip(9 + 4 * np.sin(np.arange(n) / 60) + rng.normal(0, 0.5, n), 0.5, None)
    for at in rng.integers(0, n, n // 250):
        speed[at : at + 50] = 0
    return speed, np.concatenate(([0.0], np.cumsum(speed[:-1] / PER_SECOND)))


def _streets(rng: np.random.Generator, way: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """East and north in metres along a walk over the grid of streets, with the error of a GPS
    receiver."""
    blocks = int(way[-1] / BLOCK) + 2
    turns = np.cumsum(rng.choice([0, 0, 0, 1, -1], blocks))
    corners = np.cumsum(
        np.stack([np.cos(turns * np.pi / 2), np.sin(turns * np.pi / 2)]) * BLOCK, axis=1
    )
    # Folded back, so that the streets of a small city are driven again.
    corners = 1200 - np.abs(corners % 4800 - 2400)
    at = np.arange(blocks) * BLOCK
    error = rng.normal(0, 2, (2, len(way)))
    return np.interp(way, at, corners[0]) + error[0], np.interp(way, at, corners[1]) + error[1]


def _shares(
    rng: np.random.Generator, n: int, green: np.ndarray
) -> dict[tuple[str, str], np.ndarray]:
    found: dict[tuple[str, str], np.ndarray] = {}
    for region in REGIONS:
        raw = np.stack([rng.gamma(4, mean, n) for mean in MEANS.values()])
        raw[list(MEANS).index("tree")] *= 0.2 + 1.6 * green
        raw[rng.random(raw.shape) < 0.12] = 0  # not every class is in every frame
        raw /= raw.sum(0)
        found |= {(region, name): raw[i] for i, name in enumerate(MEANS)}
    return found
