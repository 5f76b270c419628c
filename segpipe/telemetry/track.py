"""A track: where the camera was, fix by fix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segpipe.telemetry.time_map import Rate

Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
Values = Sequence[float] | Sequence[float | None] | Float64
NO_TIME = np.iinfo(np.int64).min
"""The `time_us` of a fix that has no UTC time."""
LOCATION = "embedded:location"
"""The source of a track that is one place for a whole video: nothing is known of how the camera
moved."""
METRES_PER_DOP = 5.0
"""What a receiver's dilution of precision (HDOP) is multiplied with to give metres: about the error
of a range under open sky. The `accuracy_m` made this way tells good fixes from bad ones; it is no
measured error."""


@dataclass(frozen=True)
class Track:
    """Fixes, all arrays [N]. NaN stands for what isn't known.

    `time_us` int64 is UTC in microseconds since 1970 (NO_TIME where unknown), `media_s` float64 the
    seconds since the first frame of the video that the fix was recorded with (NaN unless it was
    embedded in one). `latitude` and `longitude` are degrees in WGS 84, `heading_deg` clockwise from
    north. `source` says where it is from, such as `gpx:drive.gpx`; `dropped` counts what was left
    out, by reason. `rate` says how UTC runs against the film of a track that was embedded in one.
    `notes` are for people.
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
    rate: Rate = field(default_factory=Rate)
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.latitude)

    def __post_init__(self) -> None:
        sizes = {name: len(getattr(self, name)) for name in ARRAYS}
        if len(set(sizes.values())) != 1:
            raise ValueError(f"the arrays of a track have one length; these have {sizes}")

    @classmethod
    def of(
        cls,
        source: str,
        latitude: Values,
        longitude: Values,
        *,
        time_us: Sequence[int] | Int64 | None = None,
        media_s: Values | None = None,
        altitude_m: Values | None = None,
        speed_mps: Values | None = None,
        heading_deg: Values | None = None,
        accuracy_m: Values | None = None,
        dropped: dict[str, int] | None = None,
    ) -> Track:
        """A track from sequences [N]; what isn't given is unknown for all fixes, and so is a None
        in a sequence of floats."""
        latitudes = np.asarray(latitude, np.float64)
        known = {
            "media_s": media_s,
            "altitude_m": altitude_m,
            "speed_mps": speed_mps,
            "heading_deg": heading_deg,
        }
        floats = {
            name: np.full(len(latitudes), np.nan)
            if values is None
            else np.asarray(values, np.float64)
            for name, values in {**known, "accuracy_m": accuracy_m}.items()
        }
        times = (
            np.full(len(latitudes), NO_TIME) if time_us is None else np.asarray(time_us, np.int64)
        )
        columns: dict[str, Any] = {"longitude": np.asarray(longitude, np.float64), **floats}
        return cls(source, times, latitude=latitudes, dropped=dropped or {}, **columns)

    def seconds(self) -> Float64:
        """The time of each fix in seconds, float64 [N]: `media_s` where all fixes have it, else UTC
        since the first fix.

        NaN where a fix has no time.
        """
        if len(self) and np.isfinite(self.media_s).all():
            return self.media_s
        timed = self.time_us != NO_TIME
        first = self.time_us[timed][0] if timed.any() else 0
        return np.where(timed, (np.where(timed, self.time_us, first) - first) / 1e6, np.nan)

    def real_seconds(self) -> Float64:
        """Seconds as the camera lived them, float64 [N], to judge speeds by: those of `seconds`,
        but UTC where the film runs at another rate. Where the map of its rate has a hole they are
        as if UTC ran evenly there."""
        if self.rate.map is None or not len(self) or not np.isfinite(self.media_s).all():
            return self.seconds()
        timed = self.time_us != NO_TIME
        if not timed.any():
            return self.seconds()
        utc_s = (self.time_us[timed] - self.time_us[timed][0]) / 1e6
        return np.asarray(np.interp(self.media_s, self.media_s[timed], utc_s), np.float64)

    def take(self, keep: NDArray[np.bool_] | Int64, reason: str = "") -> Track:
        """The fixes at places, or where a mask is true; what a mask leaves out is counted under
        `reason`."""
        dropped = dict(self.dropped)
        lost = int((~keep).sum()) if keep.dtype == bool else 0
        if lost:
            dropped[reason] = dropped.get(reason, 0) + lost
        return replace(
            self, dropped=dropped, **{name: getattr(self, name)[keep] for name in ARRAYS}
        )


ARRAYS = tuple(
    f.name for f in fields(Track) if f.name not in {"source", "dropped", "rate", "notes"}
)
