"""A track: where the camera was, fix by fix."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, replace

import numpy as np
from numpy.typing import NDArray

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
NO_TIME = np.iinfo(np.int64).min
"""The `time_us` of a fix that has no UTC time."""


@dataclass(frozen=True)
class Track:
    """Fixes, all arrays [N]. NaN stands for what isn't known.

    `time_us` int64 is UTC in microseconds since 1970 (NO_TIME where unknown), `media_s` float64 the seconds since the first frame of
    the video that the fix was recorded with (NaN unless it was embedded in one). `latitude` and `longitude` are degrees in WGS 84,
    `heading_deg` clockwise from north. `source` says where it is from, such as `gpx:drive.gpx`; `dropped` counts what was
    left out, by reason.
    """

    source: str
    time_us: Int64
    media_s: Float64
    latitude: Float64
    longitude: Float64
    altitude_m: Float64
    speed_mps: Float64
    heading_deg: Float64
    accuracy_m: Float64
    dropped: dict[str, int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.latitude)

    def __post_init__(self) -> None:
        sizes = {name: len(getattr(self, name)) for name in ARRAYS}
        if len(set(sizes.values())) != 1:
            raise ValueError(f"the arrays of a track have one length; these have {sizes}")

    def take(self, keep: NDArray[np.bool_] | Int64, reason: str = "") -> Track:
        """The fixes at places, or where a mask is true; what a mask leaves out is counted under `reason`."""
        dropped = dict(self.dropped)
        lost = int((~keep).sum()) if keep.dtype == bool else 0
        if lost:
            dropped[reason] = dropped.get(reason, 0) + lost
        return replace(self, dropped=dropped, **{name: getattr(self, name)[keep] for name in ARRAYS})


ARRAYS = tuple(f.name for f in fields(Track) if f.name not in {"source", "dropped"})
