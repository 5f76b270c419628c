"""What is known of a source besides its pixels: its clocks, its track, its ego mask, its place in a drive."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segpipe.frames import SourceInfo
from segpipe.telemetry.track import ARRAYS, Track


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock that was found: what it says (`raw`, as found) and the UTC time of the source's first moment, or of the image,
    that follows from it (microseconds since 1970; None where it can't be used, `note` says why). `file` is an image's name."""

    source: str
    raw: str
    utc_us: int | None = None
    note: str = ""
    file: str | None = None


@dataclass(frozen=True)
class SourceFacts:
    """One source. `start_us` is the UTC time of `media_start_s`, the first presentation time of a video (None for images, whose
    times are their own); `offset_s` was added to the clock that was chosen. `ego` bool [H, W] are the pixels of the
    vehicle itself. `gap_before_s` is the time between the end of the clip before and this one's start; negative where they
    overlap. `notes` are warnings for people. `key` tells what the facts were found from: another key, other facts.
    An image's clock is chosen when it is read: `image_settings` are the settings that this depends on.
    """

    info: SourceInfo
    key: str = ""
    media_start_s: float | None = None
    duration_s: float | None = None
    start_us: int | None = None
    start_source: str | None = None
    offset_s: float = 0.0
    clocks: tuple[Clock, ...] = ()
    track: Track | None = None
    ego: NDArray[np.bool_] | None = None
    drive_id: str = ""
    drive_index: int = 0
    gap_before_s: float | None = None
    notes: tuple[str, ...] = ()
    image_settings: str = ""

    def digest(self) -> str:
        """Short digest of what decides the times and positions of the rows."""
        found = hashlib.blake2b(
            repr((self.start_us, self.start_source, self.media_start_s, self.image_settings)).encode(), digest_size=8
        )
        # A folder's own EXIF positions grow with it, and don't move what was there before.
        if self.track is not None and self.track.source != "exif":
            found.update(self.track.source.encode())
            for name in ARRAYS:
                found.update(np.ascontiguousarray(getattr(self.track, name)).tobytes())
        return found.hexdigest()
