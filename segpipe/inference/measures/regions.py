"""Parts of the frame: which pixels count at all, and which named regions each of them lies in."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segpipe.core.config.regions import Point, RegionSettings
from segpipe.core.errors import ConfigError
from segpipe.core.types import UInt8

WHOLE_FRAME = "frame"
FAR, MIDDLE = 0.3, 0.6
"""Where far and middle end, as shares of the height between the horizon and the bottom."""
MOST_ATOMS = 255
_ROWS_AT_ONCE = 256
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class RegionMap:
    """The regions of frames of one size, cut into atoms: pixels that lie in the same regions.

    `atoms` uint8 [H, W] gives each pixel's atom, 0 where the pixel is ignored. `membership` bool
    [R, A] says which atoms make up a region; region 0 is the whole frame. Sums are taken once for
    each atom and added up for the regions, so that overlapping regions cost one pass.
    """

    names: tuple[str, ...]
    atoms: UInt8
    membership: Mask


class Regions:
    """The regions of a source, for frames of any size. Safe to use from several threads."""

    def __init__(
        self,
        settings: RegionSettings,
        ignore: Iterable[tuple[Point, ...]] = (),
        ego: Mask | None = None,
    ) -> None:
        self.settings, self.ignore, self.ego = settings, tuple(ignore), ego
        self._maps: dict[tuple[int, int], RegionMap] = {}
        self._lock = threading.Lock()

    def __reduce__(
        self,
    ) -> tuple[type[Regions], tuple[RegionSettings, tuple[tuple[Point, ...], ...], Mask | None]]:
        # The maps are built anew where it is unpickled
        return Regions, (
            self.settings,
            self.ignore,
            self.ego,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The regions in their order: the whole frame, the built-in ones, one's own (which replace
        a built-in of that name)."""
        return (
            WHOLE_FRAME,
            *(n for n in self.settings.builtin if n not in self.settings.polygons),
            *self.settings.polygons,
        )

    def for_size(self, height: int, width: int) -> RegionMap:
        """The map for frames of a size. Raises ConfigError where the regions overlap in too many
        ways."""
        with self._lock:
            if (height, width) not in self._maps:
                # A folder of photos in many sizes must not fill the memory
                if len(self._maps) >= 8:
                    self._maps.clear()
                self._maps[height, width] = self._build(height, width)
            return self._maps[height, width]

    def ignored(self, height: int, width: int) -> Mask:
        """Pixels that don't count, bool [H, W]. The ego mask holds for frames of its own size
        only."""
        found = inside(self.ignore, height, width)
        if self.ego is not None and self.ego.shape == (height, width):
            found |= self.ego
        return found

    def _build(self, height: int, width: int) -> RegionMap:
        """A pixel's code has a bit for each region that it lies in; codes that occur are numbered.
        Codes are narrow and numbered by blocks of rows for the sake of large pictures: a map of
        int64 and a sort of it took gigabytes."""
        kind = np.uint16 if len(self.names) <= 16 else np.uint64
        codes = np.ones((height, width), kind)
        for i, name in enumerate(self.names[1:], 1):
            own = self.settings.polygons.get(name)
            mask = (
                inside(own, height, width) if own else built_in(name, self.settings, height, width)
            )
            codes[mask] |= kind(1 << i)
        codes[self.ignored(height, width)] = 0
        blocks = [codes[i : i + _ROWS_AT_ONCE] for i in range(0, height, _ROWS_AT_ONCE)]
        found = np.unique(
            np.concatenate([np.zeros(1, kind), *(np.unique(block) for block in blocks)])
        )
        if len(found) > MOST_ATOMS:
            raise ConfigError(
                f"the regions overlap in {len(found)} ways; at most {MOST_ATOMS} are possible: "
                "give fewer regions"
            )
        atoms = np.concatenate([np.searchsorted(found, block).astype(np.uint8) for block in blocks])
        membership = (found.astype(np.int64)[None, :] >> np.arange(len(self.names))[:, None]) & 1
        return RegionMap(self.names, atoms, membership.astype(bool))


NO_REGIONS = Regions(RegionSettings(builtin=()))
"""The whole frame alone."""


def built_in(name: str, settings: RegionSettings, height: int, width: int) -> Mask:
    """A built-in region, bool [H, W].

    left and right are the halves of the frame; far, middle and near lie between horizon and bottom;
    path is the corridor ahead on a flat road: at a row y below the horizon the road is seen from
    the camera's height, so that a corridor of w camera heights is w * (y - horizon) pixels wide,
    whatever the lens (pinhole geometry).
    """
    x, y = np.arange(width)[None, :] + 0.5, np.arange(height)[:, None] + 0.5
    below = (y / height - settings.horizon) / (1 - settings.horizon)
    everywhere = np.ones((height, width), bool)
    if name == "left":
        return everywhere & (x < width / 2)
    if name == "right":
        return everywhere & (x >= width / 2)
    if name == "far":
        return everywhere & (below >= 0) & (below < FAR)
    if name == "middle":
        return everywhere & (below >= FAR) & (below < MIDDLE)
    if name == "near":
        return everywhere & (below >= MIDDLE)
    return np.asarray(
        np.abs(x - width / 2) <= settings.path_width / 2 * (y - settings.horizon * height), bool
    )


def inside(polygons: Iterable[tuple[Point, ...]], height: int, width: int) -> Mask:
    """Pixels whose centre lies in one of the polygons, bool [H, W]; even-odd rule, corners in
    shares of width and height."""
    x, y = np.arange(width)[None, :] + 0.5, np.arange(height)[:, None] + 0.5
    found = np.zeros((height, width), bool)
    for polygon in polygons:
        odd = np.zeros((height, width), bool)
        corners = [(px * width, py * height) for px, py in polygon]
        for (xa, ya), (xb, yb) in zip(corners, corners[1:] + corners[:1], strict=True):
            if ya != yb:
                crossed = (ya <= y) != (yb <= y)
                odd ^= crossed & (x < xa + (y - ya) / (yb - ya) * (xb - xa))
        found |= odd
    return found
