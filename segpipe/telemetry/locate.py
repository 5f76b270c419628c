"""From a source's facts to the time and the position of each of its frames."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from segpipe.telemetry.interpolate import Positions, positions
from segpipe.telemetry.metadata import SourceMetadata
from segpipe.telemetry.photos import Place, place_photos
from segpipe.telemetry.track import NO_TIME, Float64, Int64


class Locator:
    """Places the frames of one source. Without facts, nothing is known of any frame."""

    def __init__(self, facts: SourceMetadata | None) -> None:
        self.facts = facts
        self._photos: dict[str, Place] | None = None

    def of_video(self, pts_s: Float64) -> list[Place]:
        """The places of a video's frames at presentation times, float64 [N] in seconds."""
        facts = self.facts
        if facts is None:
            return [Place()] * len(pts_s)
        found = self.along(pts_s)
        return [
            Place(
                None if time == NO_TIME else int(time),
                None if time == NO_TIME else facts.start_source,
                found.position_at(i) if found else None,
            )
            for i, time in enumerate(self.times_us(pts_s))
        ]

    def times_us(self, pts_s: Float64) -> Int64:
        """UTC of presentation times, int64 [N] in microseconds; NO_TIME where it isn't known."""
        if self.facts is None:
            return np.full(len(pts_s), NO_TIME, np.int64)
        return self.facts.times_us(pts_s)

    def along(self, pts_s: Float64) -> Positions | None:
        """The positions at presentation times, None where the source has no track.

        A track out of the video itself is joined by the video's own time, which no wrong clock can
        shift; any other by UTC, and not at all on the word of a modification time.
        """
        facts = self.facts
        if facts is None or facts.track is None or facts.refused:
            return None
        if np.isfinite(facts.track.media_s).all():
            return positions(
                facts.track, max_gap_s=facts.max_gap_s, media_s=pts_s - (facts.media_start_s or 0.0)
            )
        if facts.start_source in {None, "mtime"}:
            return None
        return positions(facts.track, max_gap_s=facts.max_gap_s, times_us=self.times_us(pts_s))

    def of_images(self, keys: Sequence[str]) -> list[Place]:
        """The places of images by their content's keys; nothing is known of one that came after the
        facts."""
        if self.facts is None:
            return [Place()] * len(keys)
        return [self._by_key().get(k, Place()) for k in keys]

    def knows(self, key: str) -> bool:
        """Whether the facts have an image of this key."""
        return key in self._by_key()

    def only(self, keys: Sequence[str]) -> Locator:
        """What places some images of a folder, by their content's keys, as this one does: of a
        large folder little enough to be sent to another process. Of them it knows the places alone,
        and no facts."""
        if self.facts is None:
            return self
        found = Locator(SourceMetadata(self.facts.info))
        found._photos = {k: self._by_key()[k] for k in keys if self.knows(k)}
        return found

    def _by_key(self) -> dict[str, Place]:
        if self._photos is None:
            self._photos = place_photos(self.facts) if self.facts is not None else {}
        return self._photos


NOWHERE = Locator(None)
