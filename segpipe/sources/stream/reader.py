"""A live stream as an iterator: frames, failures and gaps, over as many connections as it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from segpipe.core.config.job import Sampling, StreamSettings
from segpipe.core.errors import SourceError
from segpipe.core.types import Frame, FrameFailure, FrameRef
from segpipe.runtime.isolation import heartbeat
from segpipe.sources.decoding import PLAIN, Decoding
from segpipe.sources.ids import stream_frame_id
from segpipe.sources.orientation import upright_rgb
from segpipe.sources.stream.address import Stream
from segpipe.sources.stream.backoff import BackOff, Lost
from segpipe.sources.stream.connection import Connection
from segpipe.sources.stream.gaps import Gap, GapKind, Mark, Moment, Past, SteadyClock
from segpipe.sources.stream.pictures import Picture
from segpipe.sources.stream.sampling import LiveSampler
from segpipe.sources.stream.timeline import Timeline

Item = Frame | FrameFailure | Gap | Mark
_STEADY_S = 10.0
"""After a connection that lasted so long, waiting begins at its shortest again."""


@dataclass(frozen=True)
class LiveRequest:
    """All that reading a stream takes: it may travel to another process. `begin_us` is the UTC time
    (microseconds) from which on the run has to account for its time, and every frame is newer than
    the `past`."""

    stream: Stream
    begin_us: int
    past: Past
    settings: StreamSettings
    sampling: Sampling
    decoding: Decoding = PLAIN
    again: GapKind | None = None
    """Set where an earlier reader of the same run went away: its frames began before, and this gap
    is open."""
    reason: str = ""
    pts_s: float = 0.0
    mark: Mark | None = None


def live_frames(request: LiveRequest) -> Iterator[Item]:
    """The stream's frames in the order of time, each with its place in the run and behind the mark
    of its picture, and the gaps between them; an open gap comes again and again while it lasts. A
    picture that isn't wanted gives a mark only.

    Ends by itself only where the media has an end. Raises SourceError at once where the first
    connection is refused for good, or where media with an end breaks off twice at the same place;
    and, transient, after `give_up_s` without a frame.
    """
    reader = _Reader(request)
    back_off = BackOff(request.settings.backoff_s, request.settings.max_backoff_s)
    attempts = 0
    while True:
        since, attempts = time.monotonic(), attempts + 1
        try:
            connection = Connection.open(
                request.stream, request.settings, request.decoding, request.sampling.keyframes
            )
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
        reader.check_progress(lost)
        reader.check_patience(lost)
        for _ in back_off.waits(reader.patience_s):
            heartbeat()
            yield reader.line.lost(lost.kind, str(lost), reader.clock.now_us(), attempts)


class _Reader:
    """What outlives a connection: the clock, the line of time, the sampling."""

    def __init__(self, request: LiveRequest) -> None:
        self.request = request
        self.clock = SteadyClock(request.begin_us)
        self.line = Timeline(request.begin_us, request.past, request.settings.clock)
        if request.again is not None:
            self.line.resume(request.again, request.reason, request.pts_s, request.mark)
        self.sampler = LiveSampler(request.sampling)
        self.last_frame_s = time.monotonic()
        self._finite = False
        self._broke_at: Mark | None = None

    def items(self, connection: Connection, attempts: int) -> Iterator[Item]:
        """A connection's frames, and the gap before each."""
        self.clock.look()
        self._finite = connection.finite
        if connection.finite:  # a file comes as fast as it can be read
            self.line.pace = "media"
        first = True
        for picture in connection.pictures(self.clock, hold=self.line.pace == "arrival"):
            self.last_frame_s = time.monotonic()
            if first:
                begin_us = connection.begin_us(picture)
                self.line.connected(
                    picture.media_s,
                    begin_us,
                    attempts,
                    connection.finite,
                    connection.begin_within_s,
                )
                first = False
            moment = self.line.place(picture.media_s, picture.arrival_us, picture.frame is None)
            if moment is None:
                heartbeat()
                continue
            yield self.line.mark
            wanted = self.sampler.wanted(moment.pts_s, self.line.step.seconds)
            # Before its gap: one that crashes here ends none.
            item = self._item(picture, moment) if wanted else None
            if moment.gap is not None:
                yield moment.gap
            if item is not None:
                yield item
            else:
                heartbeat()

    def _item(self, picture: Picture, moment: Moment) -> Frame | FrameFailure:
        info, pace = self.request.stream.info, self.line.pace
        frame_id = stream_frame_id(info.source_id, moment.utc_us)
        ref = FrameRef(frame_id, info.source_id, info.uri, None, moment.pts_s, moment.utc_us, pace)
        if picture.frame is None:
            return FrameFailure(ref, picture.error)
        if picture.frame.is_corrupt:
            return FrameFailure(ref, "the decoder marked this frame as damaged")
        return Frame(ref, upright_rgb(picture.frame))

    def check_progress(self, lost: Lost) -> None:
        """Raises SourceError where media with an end broke off where it did before: it will never
        be read to its end."""
        here, before = self.line.mark, self._broke_at
        if not self._finite:
            return
        if here == before:
            raise SourceError(
                f"{self.request.stream.info.uri}: broke off twice at the same place, "
                f"{self.line.pts_s:.3f} s in: {lost}; what "
                "comes after it can't be read. Check the file and its server"
            )
        self._finite, self._broke_at = False, here

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
                f"{self.request.stream.info.uri}: no frame for {limit:g} s, given up "
                f"(stream.give_up_s); the last word was: {lost}",
                transient=True,
            )
