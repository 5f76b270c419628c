"""One connection to a stream: from opening it to the pictures it gives, with the moments at which they came."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import av

from segpipe.config import StreamSettings
from segpipe.errors import SourceError
from segpipe.sources.arrivals import Arrival, packets_of, spread
from segpipe.sources.container import has_end, limit, video_stream
from segpipe.sources.decoding import Decoding
from segpipe.sources.gaps import SteadyClock
from segpipe.sources.lost import Lost, lost_by
from segpipe.sources.streams import Stream, opening

_HELD_S, _HELD_PACKETS = 5.0, 4096
"""At most so much is held back at a connection's beginning."""
_STEADY_S, _STEADY_HLS_S = 0.3, 1.0
"""They come at the camera's pace once none came sooner than those before for so long."""
_NO_KEY = 500
"""A stream that has no key frame in so many packets (intra refresh) is decoded from where it is."""
_NO_TIMES = 0x80
"""FFmpeg's AVFMT_NOTIMESTAMPS."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A decoded picture, or why there is none, with its media time in seconds and its arrival (UTC, microseconds)."""

    frame: av.VideoFrame | None
    media_s: float
    arrival_us: int
    error: str = ""


class Connection:
    """An open stream. Raises Lost wherever it ends before its time."""

    def __init__(
        self, container: av.container.InputContainer, stream: av.VideoStream, timeout_s: float, decoding: Decoding,
        opening_s: float,
    ) -> None:  # fmt: skip
        self.container, self.stream, self.timeout_s, self.decoding = container, stream, timeout_s, decoding
        self.opening_s = opening_s
        self.finite = has_end(container)
        # Of a format without times (Motion JPEG, bare H.264) FFmpeg guesses 25 frames a second, which will do for a file only.
        self.timed = self.finite or not container.format.flags & _NO_TIMES
        codec = stream.codec_context.codec
        self.all_key = bool(codec.intra_only) or codec.name == "wrapped_avframe"  # a device's bare pictures aren't marked
        rate = stream.average_rate or stream.guessed_rate
        self.step_s = 1.0 / float(rate) if rate else 0.04
        self._last_s: float | None = None
        self._known_s = self.step_s
        self._offset_us: float | None = None

    @classmethod
    def open(cls, stream: Stream, settings: StreamSettings, decoding: Decoding, only_key: bool = False) -> Connection:
        """Connect. Raises Lost."""
        how, since_s = opening(stream.address, settings.transport), time.monotonic()
        options = how.options | {"max_pixels": str(decoding.max_pixels)}  # FFmpeg decodes some to learn of the stream
        try:
            container = av.open(how.file, format=how.format, options=options, timeout=settings.timeout_s, metadata_errors="replace")
        except Exception as error:  # noqa: BLE001 - FFmpeg's binding raises nearly anything, with the address in it
            lost = lost_by(error, settings.timeout_s)
        else:
            try:
                return cls._checked(container, settings, decoding, only_key, since_s)
            except SourceError as error:
                container.close()
                lost = Lost("lost", str(error), permanent=True)
        raise lost

    @classmethod
    def _checked(
        cls, container: av.container.InputContainer, settings: StreamSettings, decoding: Decoding, only_key: bool, since_s: float
    ) -> Connection:
        video = video_stream(container)
        if video.codec_context is None:
            raise SourceError("is coded in a way that no decoder here knows")
        decoding.check(video.codec_context.width, video.codec_context.height)
        limit(video, decoding)
        video.codec_context.thread_type = "SLICE"  # threads by frames would keep pictures back
        if only_key:
            video.codec_context.skip_frame = "NONKEY"
        return cls(container, video, settings.timeout_s, decoding, time.monotonic() - since_s)

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.container.close()

    def pictures(self, clock: SteadyClock, hold: bool) -> Iterator[Picture]:
        """Pictures in the order of time, from the first key frame on.

        With `hold` the first packets are held back until they come at the camera's pace: what the server or FFmpeg itself had kept
        comes at once, and the packet with the least delay tells when all of them were there (`begin_us`).
        """
        skipped = -1 if self.all_key else 0
        packets = packets_of(self.container, self.stream, clock, self.timeout_s)
        if not self.timed:
            packets = spread(packets, self.opening_s)
        elif hold:
            packets = self._held(packets)
        for packet, arrival_us in packets:
            if 0 <= skipped < _NO_KEY and packet.size and not packet.is_keyframe:
                skipped += 1
                continue
            skipped = -1
            yield from self._decoded(packet, arrival_us)

    def begin_us(self, first: Picture) -> int:
        """UTC in microseconds at which a connection's first picture was there."""
        return first.arrival_us if self._offset_us is None else round(self._offset_us + first.media_s * 1e6)

    @property
    def begin_within_s(self) -> float:
        """By how much `begin_us` may be wrong: by a segment, where pictures come in segments."""
        return 10.0 if "hls" in self.container.format.name else 2.0

    def _decoded(self, packet: av.Packet[Any], arrival_us: int) -> list[Picture]:
        try:
            frames = self.stream.codec_context.decode(packet if packet.size else None)
        except av.error.FFmpegError as error:
            # With pictures that are shown in another order than they come in, a packet's pts is ahead of those to come.
            media_s = self._media_s(packet.dts if packet.dts is not None else packet.pts, arrival_us)
            return [Picture(None, media_s, arrival_us, f"the decoder gave no picture for this frame ({error.strerror})")]
        return [self._picture(f, arrival_us) for f in frames]

    def _picture(self, frame: av.VideoFrame, arrival_us: int) -> Picture:
        media_s = self._media_s(frame.pts if frame.pts is not None else frame.dts, arrival_us)
        try:
            self.decoding.check(frame.width, frame.height)  # the size may change at any time, and not every decoder looks
        except SourceError as error:
            return Picture(None, media_s, arrival_us, str(error))
        return Picture(frame, media_s, arrival_us)

    def _media_s(self, pts: int | None, arrival_us: int) -> float:
        """Media time in seconds; a stream without times has those of its arrival."""
        if not self.timed or self.stream.time_base is None:
            return arrival_us / 1e6
        if pts is not None:
            self._last_s = float(pts * self.stream.time_base)
        elif self._last_s is not None:
            self._last_s += self.step_s
        else:  # RTSP's first packet comes before the server has told its clock: the next one is a step later
            self._last_s = self._known_s - self.step_s
        return self._last_s

    def _held(self, packets: Iterator[Arrival]) -> Iterator[Arrival]:
        held: list[Arrival] = []
        since = time.monotonic()
        steady_us = 1e6 * (_STEADY_HLS_S if "hls" in self.container.format.name else _STEADY_S)
        better_us = 0
        base = self.stream.time_base
        for packet, arrival_us in packets:
            held.append((packet, arrival_us))
            if packet.size and packet.pts is not None and base is not None:
                self._known_s = self._known_s if self._offset_us is not None else float(packet.pts * base)
                offset_us = arrival_us - float(packet.pts * base) * 1e6
                if self._offset_us is None or offset_us < self._offset_us - 0.5e6 * self.step_s:
                    self._offset_us, better_us = offset_us, arrival_us
            if (
                (better_us and arrival_us - better_us > steady_us)
                or len(held) >= _HELD_PACKETS
                or time.monotonic() - since > _HELD_S
            ):
                break
        yield from held
        held.clear()
        yield from packets
