"""One connection to a stream: from opening it to the pictures it gives, with the moments at which
they came."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from types import TracebackType

import av

from segpipe.core.config.job import StreamSettings
from segpipe.core.errors import SourceError
from segpipe.sources.decoding import Decoding
from segpipe.sources.stream.address import Stream
from segpipe.sources.stream.arrivals import packets_of, spread
from segpipe.sources.stream.backoff import Lost, lost_by
from segpipe.sources.stream.beginning import Beginning
from segpipe.sources.stream.gaps import SteadyClock
from segpipe.sources.stream.pictures import Picture, PictureDecoder
from segpipe.sources.stream.resolving import check_host
from segpipe.sources.stream.way import Way
from segpipe.sources.video.container import has_end, limit, video_stream

_STEADY_S, _STEADY_HLS_S = 0.3, 1.0
"""They come at the camera's pace once none came sooner than those before for so long."""
_NO_KEY = 500
"""A stream that has no key frame in so many packets (intra refresh) is decoded from where it is."""
_REDIRECTS = 5
"""Redirects of RTSP that are followed, one after the other."""
_NO_TIMES = 0x80
"""FFmpeg's AVFMT_NOTIMESTAMPS."""


class Connection:
    """An open stream. Raises Lost wherever it ends before its time."""

    def __init__(
        self,
        container: av.container.InputContainer,
        stream: av.VideoStream,
        timeout_s: float,
        decoding: Decoding,
        opening_s: float,
        way: Way,
    ) -> None:
        self.container, self.stream, self._way = container, stream, way
        self.timeout_s, self.opening_s = timeout_s, opening_s
        self.finite = has_end(container)
        # Of a format without times (Motion JPEG, bare H.264) FFmpeg guesses 25 frames a second,
        # which will do for a file only.
        self.timed = self.finite or not container.format.flags & _NO_TIMES
        codec = stream.codec_context.codec
        # A device's bare pictures aren't marked.
        self.all_key = bool(codec.intra_only) or codec.name == "wrapped_avframe"
        rate = stream.average_rate or stream.guessed_rate
        self.step_s = 1.0 / float(rate) if rate else 0.04
        steady_s = _STEADY_HLS_S if self._in_segments else _STEADY_S
        self._beginning = Beginning(stream.time_base, self.step_s, steady_s)
        self._decoder = PictureDecoder(stream, decoding, self.timed, self.step_s)

    @classmethod
    def open(
        cls, stream: Stream, settings: StreamSettings, decoding: Decoding, only_key: bool = False
    ) -> Connection:
        """Connect, over the redirects that may be followed. Raises Lost."""
        for _ in range(_REDIRECTS):
            check_host(stream, min(settings.timeout_s, settings.give_up_s or settings.timeout_s))
            way = Way(stream.address, settings)
            try:
                return cls._by(way, settings, decoding, only_key)
            except Lost as lost:
                way.close()
                there = way.redirected()
                if not there:
                    raise way.explained(lost, opening=True) from None
            stream = replace(stream, address=there)
        raise Lost("lost", f"the server redirects more than {_REDIRECTS} times", permanent=True)

    @classmethod
    def _by(
        cls, way: Way, settings: StreamSettings, decoding: Decoding, only_key: bool
    ) -> Connection:
        how, since_s = way.opening, time.monotonic()
        # FFmpeg decodes some to learn of the stream.
        options = how.options | {"max_pixels": str(decoding.max_pixels)}
        try:
            container = av.open(
                how.file,
                format=how.format,
                options=options,
                timeout=settings.timeout_s,
                metadata_errors="replace",
            )
        except Exception as error:  # noqa: BLE001 - FFmpeg's binding raises nearly anything, with the address in it
            lost = lost_by(error, settings.timeout_s)
        else:
            try:
                return cls._checked(container, settings, decoding, only_key, since_s, way)
            except SourceError as error:
                container.close()
                lost = Lost("lost", str(error), permanent=True)
        raise lost

    @classmethod
    def _checked(
        cls,
        container: av.container.InputContainer,
        settings: StreamSettings,
        decoding: Decoding,
        only_key: bool,
        since_s: float,
        way: Way,
    ) -> Connection:
        video = video_stream(container)
        if video.codec_context is None:
            raise SourceError("is coded in a way that no decoder here knows")
        decoding.check(video.codec_context.width, video.codec_context.height)
        limit(video, decoding)
        video.codec_context.thread_type = "SLICE"  # threads by frames would keep pictures back
        if only_key:
            video.codec_context.skip_frame = "NONKEY"
        return cls(container, video, settings.timeout_s, decoding, time.monotonic() - since_s, way)

    def __enter__(self) -> Connection:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.container.close()
        self._way.close()

    def pictures(self, clock: SteadyClock, hold: bool) -> Iterator[Picture]:
        """Pictures in the order of time, from the first key frame on.

        With `hold` the first packets are held back until they come at the camera's pace: what the
        server or FFmpeg itself had kept comes at once, and the packet with the least delay tells
        when all of them were there (`begin_us`).
        """
        try:
            yield from self._pictures(clock, hold)
        except Lost as lost:
            raise self._way.explained(lost) from None

    def _pictures(self, clock: SteadyClock, hold: bool) -> Iterator[Picture]:
        skipped = -1 if self.all_key else 0
        packets = packets_of(self.container, self.stream, clock, self.timeout_s)
        if not self.timed:
            packets = spread(packets, self.opening_s)
        elif hold:
            packets = self._beginning.held(packets)
        for packet, arrival_us in packets:
            if 0 <= skipped < _NO_KEY and packet.size and not packet.is_keyframe:
                skipped += 1
                continue
            skipped = -1
            yield from self._decoder.pictures(packet, arrival_us, self._beginning.first_s)

    def begin_us(self, first: Picture) -> int:
        """UTC in microseconds at which a connection's first picture was there."""
        offset_us = self._beginning.offset_us
        return first.arrival_us if offset_us is None else round(offset_us + first.media_s * 1e6)

    @property
    def begin_within_s(self) -> float:
        """By how much `begin_us` may be wrong: by a segment, where pictures come in segments."""
        return 10.0 if self._in_segments else 2.0

    @property
    def _in_segments(self) -> bool:
        return "hls" in self.container.format.name
