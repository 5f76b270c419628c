"""From a connection's packets to its pictures, each with its media time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import av

from segpipe.core.errors import SourceError
from segpipe.sources.decoding import Decoding


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, or why there is none, with its media time in seconds and its arrival (UTC,
    microseconds)."""

    frame: av.VideoFrame | None
    media_s: float
    arrival_us: int
    error: str = ""


class PictureDecoder:
    """Decodes a stream's packets. `timed`: the stream has times of its own; `step_s` are the
    seconds between pictures."""

    def __init__(
        self, stream: av.VideoStream, decoding: Decoding, timed: bool, step_s: float
    ) -> None:
        self.stream, self.decoding, self.timed, self.step_s = stream, decoding, timed, step_s
        self._last_s: float | None = None

    def pictures(self, packet: av.Packet[Any], arrival_us: int, first_s: float) -> list[Picture]:
        """The pictures that come of a packet, those that can't be decoded too. `first_s` is the
        media time of the connection's first packet, as far as it is known."""
        try:
            frames = self.stream.codec_context.decode(packet if packet.size else None)
        except av.error.FFmpegError as error:
            # With pictures that are shown in another order than they come in, a packet's pts is
            # ahead of those to come.
            time = packet.dts if packet.dts is not None else packet.pts
            what = f"the decoder gave no picture for this frame ({error.strerror})"
            return [Picture(None, self._media_s(time, arrival_us, first_s), arrival_us, what)]
        return [self._picture(f, arrival_us, first_s) for f in frames]

    def _picture(self, frame: av.VideoFrame, arrival_us: int, first_s: float) -> Picture:
        time = frame.pts if frame.pts is not None else frame.dts
        media_s = self._media_s(time, arrival_us, first_s)
        try:
            # The size may change at any time, and not every decoder looks.
            self.decoding.check(frame.width, frame.height)
        except SourceError as error:
            return Picture(None, media_s, arrival_us, str(error))
        return Picture(frame, media_s, arrival_us)

    def _media_s(self, pts: int | None, arrival_us: int, first_s: float) -> float:
        """Media time in seconds; a stream without times has those of its arrival."""
        if not self.timed or self.stream.time_base is None:
            return arrival_us / 1e6
        if pts is not None:
            self._last_s = float(pts * self.stream.time_base)
        elif self._last_s is not None:
            self._last_s += self.step_s
        else:
            # RTSP's first packet comes before the server has told its clock: the next one is a step
            # later.
            self._last_s = first_s - self.step_s
        return self._last_s
