"""When a stream's frames were there: one line of time over all its connections, and the gaps in
it."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Literal

from segpipe.sources.stream.drift import DRIFT_S, EARLY_S, Drift
from segpipe.sources.stream.gaps import GAP_S, NO_PAST, Gap, GapKind, Mark, Moment, Past, Step

_SAME_CLOCK_S = 86_400.0
_AGAIN_S = 60.0
"""A live server gives at most so much again to a new connection."""


class Timeline:
    """Places frames by their media time (seconds, a connection's own) and their arrival (UTC,
    microseconds).

    `pts_s` runs on over connections and over jumps of the stream's own time; UTC follows it from
    the first frame on, and is set anew where the two drift apart. With `pace` "media" the media's
    own time decides, however fast the frames come.
    """

    def __init__(
        self, begin_us: int, past: Past = NO_PAST, pace: Literal["arrival", "media"] = "arrival"
    ) -> None:
        """The run accounts for its time from `begin_us` on. A server may give older pictures first,
        and they count too, but not those of the `past`, which are in the dataset."""
        self.begin_us, self.past, self.pace = begin_us, past, pace
        self.pts_s, self.utc_us, self.arrival_us, self.media_s = -math.inf, begin_us, begin_us, 0.0
        self.step = Step()
        self.shift_s = self.anchor_us = 0.0
        self.open: Gap | None = Gap("connect", begin_us, begin_us, closed=False)
        self.started = False
        self.finite, self._good_s = False, -math.inf
        self._known_s = self._dropped_s = -math.inf
        self.drift = Drift()

    def lost(self, kind: GapKind, reason: str, now_us: int, attempts: int = 0) -> Gap:
        """No frames come any more; called again, the gap goes on. Gives the gap as it is."""
        if self.open is None:
            self.open = Gap(kind, self.utc_us, self.utc_us, self.pts_s, closed=False, reason=reason)
        gap = self.open
        stop_us = max(gap.stop_us, self.utc_us + max(0, now_us - self.arrival_us))
        self.open = replace(
            gap, stop_us=stop_us, reason=reason or gap.reason, attempts=max(attempts, gap.attempts)
        )
        return self.open

    @property
    def mark(self) -> Mark:
        """The last picture's place in the media."""
        return Mark(self.media_s, self.shift_s, self.finite)

    def resume(self, kind: GapKind, reason: str, pts_s: float, mark: Mark | None = None) -> None:
        """Go on where an earlier reader of the same run went away: its last frame was at `begin_us`
        and `pts_s`."""
        self.started, self.pts_s, self.media_s, self._good_s = True, pts_s, math.inf, pts_s
        if mark is not None:
            self.media_s, self.shift_s, self.finite = mark.media_s, mark.shift_s, mark.finite
        self.anchor_us = self.begin_us - pts_s * 1e6
        self.open = Gap(kind, self.begin_us, self.begin_us, pts_s, reason=reason, closed=False)

    def connected(
        self,
        media_s: float,
        arrival_us: int,
        attempts: int = 1,
        finite: bool = False,
        within_s: float = DRIFT_S,
    ) -> None:
        """A connection's first frame has this media time, and was there at `arrival_us`, give or
        take `within_s`. `finite`: it reads media with an end."""
        again, self.finite = finite and self.finite and self.started, finite
        if self.open is not None:
            self.open = replace(self.open, attempts=max(attempts, self.open.attempts))
        if not self.started:
            self.anchor_us, self.shift_s = arrival_us - media_s * 1e6, 0.0
            return
        self._known_s = (
            self.media_s if again or self._comes_again(media_s, arrival_us, within_s) else -math.inf
        )
        went_on = self._known_s > -math.inf or (
            self.pace == "media" and 0 < media_s - self.media_s <= _SAME_CLOCK_S
        )
        if not went_on:
            elapsed_s = (arrival_us - self.arrival_us) / 1e6
            by_clock = (
                (arrival_us - self.anchor_us) / 1e6
                if self.pace == "arrival"
                else self.pts_s + elapsed_s
            )
            self.shift_s = max(by_clock, self.pts_s + self.step.seconds) - media_s
        self.drift.begin_anew()

    def _comes_again(self, media_s: float, arrival_us: int, within_s: float) -> bool:
        """Whether a live connection begins with pictures of the one before: the old clock's times,
        as late as the clock says."""
        behind_us = arrival_us - (self.anchor_us + (media_s + self.shift_s) * 1e6)
        near = 0 <= self.media_s - media_s <= _AGAIN_S and abs(behind_us) <= within_s * 1e6
        return self.pace == "arrival" and near

    def place(self, media_s: float, arrival_us: int, failed: bool = False) -> Moment | None:
        """The next frame's place; None for one that is in the dataset already, or came on an
        earlier connection. One that `failed` to decode has the time of a packet, which may be ahead
        of pictures to come: it is placed, and moves nothing."""
        if media_s <= self._known_s and (self.finite or media_s >= self._dropped_s - DRIFT_S):
            self._dropped_s = media_s
            return None
        self._known_s = self._dropped_s = -math.inf
        if not self.started and not self._begin(media_s):
            return None
        pts_s = media_s + self.shift_s
        utc_us = round(self.anchor_us + pts_s * 1e6)
        if not self.started:
            gap = self._gap(pts_s, utc_us, arrival_us)
        else:
            pts_s = max(self._mistrust(pts_s, media_s, arrival_us, failed), self.pts_s + 1e-6)
            utc_us = max(round(self.anchor_us + pts_s * 1e6), self.utc_us + 1)
            if self.pace == "arrival":
                late_us = self.drift.after(utc_us, arrival_us)
                self.anchor_us += late_us
                utc_us = max(utc_us + round(late_us), self.utc_us + 1)
            gap = self._gap(pts_s, utc_us, arrival_us)
            if gap is None or gap.kind in {"stall", "jump"}:
                self.step.add(pts_s - self.pts_s)
        if not failed or not self.started:
            self.media_s, self._good_s = media_s, max(self._good_s, media_s + self.shift_s)
        self.started, self.pts_s, self.utc_us, self.arrival_us = True, pts_s, utc_us, arrival_us
        return Moment(pts_s, utc_us, gap)

    def _begin(self, media_s: float) -> bool:
        """Begin with this frame, unless it is too old."""
        utc_us = self.anchor_us + (media_s + self.shift_s) * 1e6
        if utc_us <= self.past.end_us:
            return False
        first_s = self.past.seconds_at(utc_us)
        self.anchor_us, self.shift_s = utc_us - first_s * 1e6, first_s - media_s
        return True

    def _mistrust(self, pts_s: float, media_s: float, arrival_us: int, failed: bool) -> float:
        """The stream's own time went back, or ahead of the clock by a jump: it goes on from the
        frame before instead."""
        back = pts_s < self._good_s - self.step.seconds
        ahead_s = (self.anchor_us + pts_s * 1e6 - arrival_us) / 1e6
        jumped = (
            self.pace == "arrival"
            and self.open is None
            and pts_s - self.pts_s > self.step.longest_s
            and ahead_s > EARLY_S
        )
        if back or jumped:
            elapsed_s = (arrival_us - self.arrival_us) / 1e6 if self.pace == "arrival" else 0.0
            if failed:
                return self.pts_s + max(0.0, elapsed_s)
            pts_s = self.pts_s + max(self.step.seconds, elapsed_s)
            self.shift_s = pts_s - media_s
        return pts_s

    def _gap(self, pts_s: float, utc_us: int, arrival_us: int) -> Gap | None:
        if self.open is not None:
            gap, self.open = replace(self.open, stop_us=utc_us, stop_pts_s=pts_s, closed=True), None
            short = (
                gap.kind == "connect" and gap.attempts <= 1 and utc_us - gap.start_us <= GAP_S * 1e6
            )
            return None if short or utc_us <= gap.start_us else gap
        if pts_s - self.pts_s <= self.step.longest_s:
            return None
        waited = (arrival_us - self.arrival_us) / 1e6 > 0.5 * (pts_s - self.pts_s)
        kind: GapKind = "stall" if waited and self.pace == "arrival" else "jump"
        reason = "no frames came" if kind == "stall" else "the stream's own time goes on later"
        return Gap(kind, self.utc_us, utc_us, self.pts_s, pts_s, 0, reason)
