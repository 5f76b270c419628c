"""From a source's facts to the time and the position of each of its frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from segpipe.frames import Position
from segpipe.telemetry.clocks import choose, image_clocks
from segpipe.telemetry.exif import ExifFacts, read_exif
from segpipe.telemetry.facts import SourceFacts
from segpipe.telemetry.interpolate import Positions, positions
from segpipe.telemetry.track import NO_TIME, Float64, Int64
from segpipe.where import TimeSettings, TrackSettings

EXIF = "exif"


@dataclass(frozen=True, slots=True)
class Place:
    """When and where a frame was taken; `time_us` is UTC in microseconds since 1970 from the clock `time_source`."""

    time_us: int | None = None
    time_source: str | None = None
    position: Position | None = None


class Locator:
    """Places the frames of one source. Without facts, nothing is known of any frame."""

    def __init__(self, facts: SourceFacts | None, time: TimeSettings, track: TrackSettings) -> None:
        self.facts, self.time, self.track = facts, time, track

    def of_video(self, pts_s: Float64) -> list[Place]:
        """The places of a video's frames at presentation times, float64 [N] in seconds."""
        facts = self.facts
        if facts is None:
            return [Place()] * len(pts_s)
        found = self.along(pts_s)
        times = self.times_us(pts_s)
        return [
            Place(None if time == NO_TIME else int(time), facts.start_source, found.at(i) if found else None)
            for i, time in enumerate(times)
        ]

    def times_us(self, pts_s: Float64) -> Int64:
        """UTC of presentation times, int64 [N] in microseconds; NO_TIME where the source has no clock."""
        facts = self.facts
        if facts is None or facts.start_us is None:
            return np.full(len(pts_s), NO_TIME, np.int64)
        return facts.start_us + np.round((pts_s - (facts.media_start_s or 0.0)) * 1e6).astype(np.int64)

    def along(self, pts_s: Float64) -> Positions | None:
        """The positions at presentation times, None where the source has no track.

        A track out of the video itself is joined by the video's own time, which no wrong clock can shift; any other by UTC, and
        not at all on the word of a modification time.
        """
        facts = self.facts
        if facts is None or facts.track is None:
            return None
        if np.isfinite(facts.track.media_s).all():
            return positions(facts.track, max_gap_s=self.track.max_gap_s, media_s=pts_s - (facts.media_start_s or 0.0))
        if facts.start_source in {None, "mtime"}:
            return None
        return positions(facts.track, max_gap_s=self.track.max_gap_s, times_us=self.times_us(pts_s))

    def of_images(self, files: Sequence[Path]) -> list[Place]:
        """The places of images, from their EXIF and the folder's track."""
        if self.facts is None:
            return [Place()] * len(files)
        facts = [read_exif(f) for f in files]
        chosen = [choose(image_clocks(f, _mtime_ns(f), e, self.time), self.time) for f, e in zip(files, facts, strict=True)]
        found: Positions | None = None
        if self.facts.track is not None:
            trusted = [NO_TIME if time is None or clock == "mtime" else time for time, clock, _ in chosen]
            found = positions(self.facts.track, max_gap_s=self.track.max_gap_s, times_us=np.array(trusted, np.int64))
        return [
            Place(time, clock, self._of_image(exif, found.at(i) if found else None))
            for i, ((time, clock, _), exif) in enumerate(zip(chosen, facts, strict=True))
        ]

    def _of_image(self, exif: ExifFacts | None, along: Position | None) -> Position | None:
        """The image's own position or the track's, whichever kind stands first in the order."""
        own = exif.position if exif is not None and EXIF in self.track.order else None
        if own is None or (along is not None and along.source != EXIF):
            return along
        if along is None:
            return own
        return replace(
            own,
            track_m=along.track_m,
            speed_mps=own.speed_mps if own.speed_mps is not None else along.speed_mps,
            heading_deg=own.heading_deg if own.heading_deg is not None else along.heading_deg,
        )


NOWHERE = Locator(None, TimeSettings(), TrackSettings())


def _mtime_ns(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return -1
