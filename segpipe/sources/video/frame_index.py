"""The frames of a video as its packets tell them: what a position means, and where decoding can
begin."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from segpipe.core.video_streams import VideoStream
from segpipe.telemetry.container_tags import ClockTags


@dataclass(frozen=True)
class PacketIndex:
    """The frames that a video shows, in presentation order.

    `pts` int64 [N] in units of `time_base` seconds: the position in it is the `frame_index`.
    Packets that an edit list hides, and those before the first key frame, are not in it: no player
    shows them. `key_pts` and `key_dts` int64 [K] are the key packets, hidden ones too, sorted by
    time: decoding can begin there. `missing` says what the file lacks, `transient` that it may be
    there at another time. `untimed`: the container (AVI) stores no presentation times, the places
    in the file stand for them; `by_order`: its pictures may come in another order than their
    packets, so they are counted instead of recognised. `parts` are the offsets that were added to
    the times of each part of a file whose times begin anew in its middle, as when two recordings
    were put one behind the other.
    """

    stream: int
    time_base: Fraction
    pts: NDArray[np.int64]
    key_pts: NDArray[np.int64]
    key_dts: NDArray[np.int64]
    start_s: float
    tags: ClockTags
    missing: str
    untimed: bool
    by_order: bool
    parts: tuple[int, ...] = (0,)
    transient: bool = False
    before: int = 0
    """With `by_order`: how many pictures the decoder gives before the first frame."""
    names: NDArray[np.int64] | None = None
    """Where the container's times are not those of its pictures: the time that each frame's packet
    has there, int64 [N], by which its picture is recognised."""
    key_names: NDArray[np.int64] | None = None
    """The same of the key packets, int64 [K]."""
    edits: bool = True
    """Whether the container's edit list holds."""
    fields: bool = False
    """Whether there are packets of one field, two to a picture. Those of second fields are no
    frames."""
    note: str = ""
    """What people should know of the times."""
    streams: tuple[VideoStream, ...] = ()
    """All video streams of the file, this one among them."""

    @property
    def from_start(self) -> bool:
        """Whether decoding has to begin where the file does: there is no seeking by time in it."""
        return self.by_order or len(self.parts) > 1

    @property
    def times_s(self) -> NDArray[np.float64]:
        """Presentation time of each frame in seconds, float64 [N]."""
        return self.pts.astype(np.float64) * (self.time_base.numerator / self.time_base.denominator)

    def key_name(self, key: int) -> int:
        """The time that a key packet has in the container."""
        return int((self.key_pts if self.key_names is None else self.key_names)[key])

    def place_of(self, time: int, seen: int) -> int | None:
        """The position of the picture with this time, behind the one seen last."""
        if self.names is not None:
            found = np.flatnonzero(self.names == time)
            return int(found[0]) if len(found) and found[0] > seen else None
        place = max(int(np.searchsorted(self.pts, time)), seen + 1)  # of a repeated time, the next
        return place if place < len(self.pts) and self.pts[place] == time else None

    def key_indices(self) -> NDArray[np.int64]:
        """Positions in `pts` that are key frames, int64, sorted."""
        place = np.searchsorted(self.pts, self.key_pts)
        shown = place < len(self.pts)
        shown[shown] = self.pts[place[shown]] == self.key_pts[shown]
        return np.unique(place[shown])
