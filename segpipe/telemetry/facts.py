"""What is known of a source besides its pixels: its clocks, its track, its ego mask, its place in a drive."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from segpipe.frames import Position, SourceInfo
from segpipe.telemetry.track import ARRAYS, Track
from segpipe.text import printable_text


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock that was found: what it says (`raw`, as found) and the UTC time of the source's first moment, or of the image,
    that follows from it (microseconds since 1970; None where it can't be used, `note` says why). `file` is an image's name."""

    source: str
    raw: str
    utc_us: int | None = None
    note: str = ""
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Photo:
    """What an image says of itself: its file's name (as text that Parquet can hold) and stamp, its time by the clock that was
    chosen (UTC, microseconds since 1970), and the position in its EXIF."""

    name: str
    size_bytes: int
    mtime_ns: int
    time_us: int | None = None
    time_source: str | None = None
    own: Position | None = None


@dataclass(frozen=True)
class SourceFacts:
    """One source. `start_us` is the UTC time of `media_start_s`, the first presentation time of a video (None for images, whose
    times are their own, in `photos`); `offset_s` was added to the clock that was chosen. `track` is cleaned, and gives no
    position across gaps of more than `max_gap_s`; `refused` says that tracks disagreed, so that none may be believed.
    `ego` bool [H, W] are the pixels of the vehicle itself. `gap_before_s` is the time between the end of the clip before and
    this one's start; negative where they overlap. `notes` are warnings for people. `key` tells what the facts were found
    from: another key, other facts. `partial` ones are of a file that couldn't be read to its end for the moment: they are not
    kept in the dataset as such, but have no key there, so that they are found again.
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
    photos: tuple[Photo, ...] = ()
    order: tuple[str, ...] = ()
    max_gap_s: float = 10.0
    refused: bool = False
    partial: bool = False

    def ego_digest(self) -> str:
        """Short digest of the ego mask, empty where there is none: rows with another one count other pixels."""
        if self.ego is None:
            return ""
        return hashlib.blake2b(repr(self.ego.shape).encode() + np.packbits(self.ego).tobytes(), digest_size=8).hexdigest()

    def digest(self) -> str:
        """Short digest of what decides the times and positions of the rows."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        """Taken once: each of a folder's shards asks for it, and it goes through all photos."""
        said = (self.start_us, self.start_source, self.media_start_s, self.photos, self.order, self.max_gap_s, self.refused)
        found = hashlib.blake2b(repr(said).encode(), digest_size=8)
        if self.track is not None:
            found.update(printable_text(self.track.source).encode())
            for name in ARRAYS:
                values = getattr(self.track, name)
                # NaN has many bit patterns, and only one comes back from a file.
                found.update(np.ascontiguousarray(np.where(np.isnan(values), np.nan, values)).tobytes())
        return found.hexdigest()
