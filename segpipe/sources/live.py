"""A live stream as an iterator: frames, failures and gaps, over as many connections as it takes."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from segpipe.config import Sampling, StreamSettings
from segpipe.errors import SourceError
from segpipe.frames import Frame, FrameFailure, FrameRef
from segpipe.isolation import alive
from segpipe.sources.connection import Connection, Picture
from segpipe.sources.decoder import upright_rgb
from segpipe.sources.decoding import PLAIN, Decoding
from segpipe.sources.gaps import Gap, GapKind, Moment, Past, SteadyClock
from segpipe.sources.identity import stream_frame_id
from segpipe.sources.lost import Lost
from segpipe.sources.sampling import LiveSampler
from segpipe.sources.streams import Stream
from segpipe.sources.timeline import Timeline

Item = Frame | FrameFailure | Gap
_STEADY_S = 10.0
"""After a connection that lasted so long, waiting begins at its shortest again."""


@dataclass(frozen=True)
class LiveRequest:
    """All that reading a stream takes: it may travel to another process. `begin_us` is the UTC time (microseconds) from which on
    the run has to account for its time, and every frame is newer than the `past`."""

    stream: Stream
    begin_us: int
    past: Past
    settings: StreamSettings
    sampling: Sampling
    decoding: Decoding = PLAIN
    again: GapKind | None = None
    """Set where an earlier reader of the same run went away: its frames began before, and this gap is open."""
    reason: str = ""
    pts_s: float = 0.0


def live_frames(request: LiveRequest) -> Iterator[Item]:
    """The stream's frames in the order of time, each with its place in the run, and the gaps between them; an open gap comes again
    and again while it lasts.

    Ends by itself only where the address is a file with an end. Raises SourceError at once where the first connection is refused
    for good, and, transient, after `give_up_s` without a frame.
    """
    reader = _Reader(request)
    back_off = BackOff(request.settings.backoff_s, request.settings.max_backoff_s)
    attempts = 0
    while True:
        since, attempts = time.monotonic(), attempts + 1
        try:
            connection = Connection.open(request.stream, request.settings, request.decoding, request.sampling.keyframes)
            with connection:
                for item in reader.items(connection, attempts):
                    yield item
                    attempts = 0
            if connection.finite:
                return
            lost = Lost("lost", "the stream ended")
        except Lost as error:
            lost = error
        if lost.permanent and not reader.line.started:
            raise SourceError(f"{request.stream.info.uri}: {lost}")
        if time.monotonic() - since > _STEADY_S:
            back_off.reset()
        yield reader.line.lost(lost.kind, str(lost), reader.clock.now_us(), attempts)
        reader.check_patience(lost)
        for _ in back_off.waits(reader.patience_s):
            alive()
            yield reader.line.lost(lost.kind, str(lost), reader.clock.now_us(), attempts)


class _Reader:
    """What outlives a connection: the clock, the line of time, the sampling."""

    def __init__(self, request: LiveRequest) -> None:
        self.request = request
        self.clock = SteadyClock(request.begin_us)
        self.line = Timeline(request.begin_us, request.past, request.settings.clock)
        if request.again is not None:
            self.line.resume(request.again, request.reason, request.pts_s)
        self.sampler = LiveSampler(request.sampling)
        self.last_frame_s = time.monotonic()

    def items(self, connection: Connection, attempts: int) -> Iterator[Item]:
        """A connection's frames, and the gap before each."""
        self.clock.look()
        if connection.finite:  # a file comes as fast as it can be read
            self.line.pace = "media"
        first = True
        for picture in connection.pictures(self.clock, hold=self.line.pace == "arrival"):
            self.last_frame_s = time.monotonic()
            if first:
                self.line.connected(picture.media_s, connection.begin_us(picture), attempts)
                first = False
            moment = self.line.place(picture.media_s, picture.arrival_us)
            if moment is None:
                continue
            if moment.gap is not None:
                yield moment.gap
            if self.sampler.wanted(moment.pts_s, self.line.step.seconds):
                yield self._item(picture, moment)
            else:
                alive()

    def _item(self, picture: Picture, moment: Moment) -> Frame | FrameFailure:
        info, pace = self.request.stream.info, self.line.pace
        frame_id = stream_frame_id(info.source_id, moment.utc_us)
        ref = FrameRef(frame_id, info.source_id, info.uri, None, moment.pts_s, moment.utc_us, pace)
        if picture.frame is None:
            return FrameFailure(ref, picture.error)
        if picture.frame.is_corrupt:
            return FrameFailure(ref, "the decoder marked this frame as damaged")
        return Frame(ref, upright_rgb(picture.frame))

    @property
    def patience_s(self) -> float | None:
        """Seconds until the stream is given up."""
        limit = self.request.settings.give_up_s
        return None if limit is None else self.last_frame_s + limit - time.monotonic()

    def check_patience(self, lost: Lost) -> None:
        """Raises SourceError where there was no frame for too long."""
        left = self.patience_s
        if left is not None and left <= 0.05:
            limit = self.request.settings.give_up_s
            raise SourceError(
                f"{self.request.stream.info.uri}: no frame for {limit:g} s, given up (stream.give_up_s); the last word was: {lost}",
                transient=True,
            )


class BackOff:
    """Waits that double up to a limit, each cut by chance ("full jitter"), so that a hundred readers don't come back at once."""

    def __init__(self, first_s: float, most_s: float, chance: Callable[[], float] = random.random) -> None:
        self.first_s, self.most_s, self.chance = first_s, most_s, chance
        self.tries = 0

    def reset(self) -> None:
        """Begin with the shortest wait again."""
        self.tries = 0

    def next_s(self) -> float:
        """The next wait in seconds, at least a tenth of the first."""
        longest = min(self.most_s, self.first_s * 2.0 ** min(self.tries, 30))
        self.tries += 1
        return float(max(0.1 * self.first_s, longest * self.chance()))

    def waits(self, at_most_s: float | None = None) -> Iterator[Any]:
        """Sleep through the next wait in pieces of a fifth of a second, yielding between them."""
        left_s = self.next_s() if at_most_s is None else min(self.next_s(), max(0.0, at_most_s))
        until = time.monotonic() + left_s
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(0.2, left))
            yield None
