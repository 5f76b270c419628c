"""What is known of a source besides its pixels: its clocks, its track, its ego mask, its place in a
drive."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from segpipe.core.text import printable_text
from segpipe.core.types import Position, SourceInfo
from segpipe.core.video_streams import FileStreams
from segpipe.telemetry.time_map import TimeMap
from segpipe.telemetry.track import ARRAYS, NO_TIME, Float64, Int64, Track


@dataclass(frozen=True, slots=True)
class Clock:
    """One clock that was found: what it says (`raw`, as found) and the UTC time of the source's
    first moment, or of the image, that follows from it (microseconds since 1970; None where it
    can't be used, `note` says why). `file` is the content key of an image.

    `other_us` is the other time that the same local time can mean, where a change of the clocks
    made it come twice or never; `fine` says that the clock counts fractions of a second (not kept
    in the dataset)."""

    source: str
    raw: str
    utc_us: int | None = None
    note: str = ""
    file: str | None = None
    other_us: int | None = None
    fine: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class Photo:
    """What an image says of itself: the key of its content, its file's name when it was first seen
    (as text that Parquet can hold) and stamp, its time by the clock that was chosen (UTC,
    microseconds since 1970), and the position in its EXIF.
    """

    key: str
    name: str
    size_bytes: int
    mtime_ns: int
    time_us: int | None = None
    time_source: str | None = None
    own: Position | None = None


@dataclass(frozen=True)
class SourceMetadata:
    """One source. `start_us` is the UTC time of `media_start_s`, the first presentation time of a
    video (None for images, whose times are their own, in `photos`); `time_map` leads from there to
    the UTC of each frame where UTC doesn't run like the film (None: it does). `offset_s` was added
    to the clock that was chosen. `track` is cleaned, and gives no position across gaps of more than
    `max_gap_s`; `refused` says that tracks disagreed, so that none may be believed. `ego` bool [H,
    W] are the pixels of the vehicle itself. `gap_before_s` is the time between the end of the clip
    before and this one's start; negative where they overlap. `notes` are warnings for people. `key`
    tells what the facts were found from: another key, other facts. `partial` ones are of a file
    that couldn't be read to its end for the moment: they are not kept in the dataset as such, but
    have no key there, so that they are found again.
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
    time_map: TimeMap | None = None
    file: FileStreams | None = None
    """The video streams of the file that a video is in; None where it couldn't be opened."""

    def times_us(self, pts_s: Float64) -> Int64:
        """UTC of presentation times, int64 [N] in microseconds; NO_TIME where it isn't known."""
        if self.start_us is None:
            return np.full(len(pts_s), NO_TIME, np.int64)
        elapsed_s = pts_s - (self.media_start_s or 0.0)
        if self.time_map is not None:
            elapsed_s = self.time_map.elapsed_at(elapsed_s)
        known = np.isfinite(elapsed_s)
        later_us = np.round(np.where(known, elapsed_s, 0.0) * 1e6).astype(np.int64)
        return np.where(known, self.start_us + later_us, NO_TIME)

    def lasted_s(self) -> float | None:
        """How long a video's recording took, in seconds of UTC; None where that isn't known."""
        if self.time_map is None or self.duration_s is None:
            return self.duration_s
        found = float(self.time_map.elapsed_at(np.array([self.duration_s]))[0])
        return found if np.isfinite(found) else None

    @property
    def stream(self) -> int | None:
        """The number of a video's stream among those of its file, where that is known."""
        if self.info.stream is not None or self.file is None:
            return self.info.stream
        return self.file.default.number

    def ego_digest(self) -> str:
        """Short digest of the ego mask, empty where there is none: rows with another one count
        other pixels."""
        if self.ego is None:
            return ""
        return hashlib.blake2b(
            repr(self.ego.shape).encode() + np.packbits(self.ego).tobytes(), digest_size=8
        ).hexdigest()

    def digest(self) -> str:
        """Short digest of what decides the times and positions of the rows."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        """Taken once: each of a folder's shards asks for it, and it goes through all photos."""
        said = (
            self.start_us,
            self.start_source,
            self.media_start_s,
            self.photos,
            self.order,
            self.max_gap_s,
            self.refused,
        )
        found = hashlib.blake2b(repr(said).encode(), digest_size=8)
        if self.time_map is not None:
            found.update(self.time_map.media_s.tobytes())
            found.update(
                np.where(
                    np.isnan(self.time_map.elapsed_s), np.nan, self.time_map.elapsed_s
                ).tobytes()
            )
        if self.track is not None:
            found.update(printable_text(self.track.source).encode())
            for name in ARRAYS:
                values = getattr(self.track, name)
                # NaN has many bit patterns, and only one comes back from a file.
                found.update(
                    np.ascontiguousarray(np.where(np.isnan(values), np.nan, values)).tobytes()
                )
        return found.hexdigest()
