"""What a frame counts in a layer, and what a cell needs for its indicators to be told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from segpipe.analysis.cells import Cells
from segpipe.core.errors import ConfigError

if TYPE_CHECKING:
    import duckdb

MIN_FRAMES, MIN_METRES = 3, 10.0
Weight = Literal["metres", "frames"]


@dataclass(frozen=True)
class Exposure:
    """What the user asks for. A frame counts by the `metres` it stands for, or all the same with
    `frames`; without a word photographs count all the same, and film counts by metres. A cell below
    `min_frames` or `min_metres` has no indicators; without a word `min_metres` is 10, or half the
    cell's size where that is less: a drive through a cell of 5 m is not 10 m long. Metres aren't
    asked where frames are the weight."""

    weight: Weight | None = None
    min_frames: int = MIN_FRAMES
    min_metres: float | None = None

    def __post_init__(self) -> None:
        if self.weight not in {"metres", "frames", None}:
            raise ConfigError(
                f"weight {self.weight!r}: frames are weighted by 'metres', or all the same with "
                "'frames'"
            )
        if not (self.min_frames >= 0 and (self.min_metres is None or self.min_metres >= 0)):
            raise ConfigError(
                f"min_frames {self.min_frames}, min_metres {self.min_metres}: must be 0 or more"
            )


@dataclass(frozen=True)
class Settled:
    """What holds for a dataset and its cells; `min_metres` is 0 where frames are the weight."""

    weight: Weight
    min_frames: int
    min_metres: float

    def __str__(self) -> str:
        metres = f" or --min-metres {self.min_metres:g}" if self.min_metres else ""
        return f"--min-frames {self.min_frames}{metres}"


def settle(
    exposure: Exposure, cells: Cells, connections: list[duckdb.DuckDBPyConnection]
) -> Settled:
    """What the user left open, from the cells and from what the datasets hold: frames are the
    weight as soon as one of them has photographs alone."""
    photos = any(only_photos(c) for c in connections) if exposure.weight is None else False
    weight: Weight = exposure.weight or ("frames" if photos else "metres")
    least = (
        min(MIN_METRES, round(cells.across_m / 2, 2))
        if exposure.min_metres is None
        else exposure.min_metres
    )
    return Settled(weight, exposure.min_frames, least if weight == "metres" else 0.0)


def only_photos(connection: duckdb.DuckDBPyConnection) -> bool:
    """Whether all usable frames are photographs: they have no place in a video."""
    [(found,)] = connection.execute(
        "SELECT bool_and(frame_index IS NULL) FROM frames WHERE usable"
    ).fetchall()
    return bool(found)
