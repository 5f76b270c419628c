"""From a source's facts to the time and the position of each of its frames."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from segpipe.telemetry.facts import SourceFacts
from segpipe.telemetry.interpolate import Positions, positions
from segpipe.telemetry.photos import Place, place_photos
from segpipe.telemetry.track import NO_TIME, Float64, Int64
from segpipe.text import printable_text


class Locator:
    """Places the frames of one source. Without facts, nothing is known of any frame."""

    def __init__(self, facts: SourceFacts | None) -> None:
        self.facts = facts
        self._photos: dict[str, Place] | None = None

    def of_video(self, pts_s: Float64) -> list[Place]:
        """The places of a video's frames at presentation times, float64 [N] in seconds."""
        facts = self.facts
        if facts is None:
            return [Place()] * len(pts_s)
        found = self.along(pts_s)
        return [
            Place(None if time == NO_TIME else int(time), facts.start_source, found.at(i) if found else None)
            for i, time in enumerate(self.times_us(pts_s))
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
        if facts is None or facts.track is None or facts.refused:
            return None
        if np.isfinite(facts.track.media_s).all():
            return positions(facts.track, max_gap_s=facts.max_gap_s, media_s=pts_s - (facts.media_start_s or 0.0))
        if facts.start_source in {None, "mtime"}:
            return None
        return positions(facts.track, max_gap_s=facts.max_gap_s, times_us=self.times_us(pts_s))

    def of_images(self, files: Sequence[Path]) -> list[Place]:
        """The places of images of the folder; nothing is known of one that came after the facts."""
        return self.named([printable_text(f.name) for f in files])

    def named(self, names: Sequence[str]) -> list[Place]:
        """The places of images by their names, as the tables have them."""
        if self.facts is None:
            return [Place()] * len(names)
        return [self._by_name().get(n, Place()) for n in names]

    def knows(self, name: str) -> bool:
        """Whether the facts have an image of this name."""
        return name in self._by_name()

    def only(self, files: Sequence[str]) -> Locator:
        """What places some images of a folder, by the names of their files, as this one does: of a large folder little enough to be
        sent to another process. Of them it knows the places alone, and no facts."""
        if self.facts is None:
            return self
        found = Locator(SourceFacts(self.facts.info))
        names = [printable_text(f) for f in files]
        found._photos = {n: self._by_name()[n] for n in names if self.knows(n)}
        return found

    def _by_name(self) -> dict[str, Place]:
        if self._photos is None:
            self._photos = place_photos(self.facts) if self.facts is not None else {}
        return self._photos


NOWHERE = Locator(None)
