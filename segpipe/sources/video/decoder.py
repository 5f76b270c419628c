"""Decoding from a key frame on, each picture with its position in the packet index."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import av
import numpy as np

from segpipe.core.errors import is_transient
from segpipe.core.types import FrameFailure, FrameRef
from segpipe.runtime.isolation import heartbeat
from segpipe.sources.video.container import packet_time
from segpipe.sources.video.frame_index import PacketIndex


class Decoder:
    """Decodes from a key frame on and tells each picture's position in the packet index."""

    def __init__(
        self, container: av.container.InputContainer, stream: av.VideoStream, index: PacketIndex
    ) -> None:
        self.container, self.stream, self.index = container, stream, index
        self.last_error = ""
        self.transient = False
        self._part = 0

    def failure(self, ref: FrameRef) -> FrameFailure:
        """What becomes of a wanted frame that didn't come."""
        why = f" ({self.last_error})" if self.last_error else ""
        return FrameFailure(ref, f"the decoder gave no picture for this frame{why}", self.transient)

    def _note(self, error: av.error.FFmpegError) -> None:
        self.last_error = str(error.strerror or error)
        self.transient = self.transient or is_transient(error)

    def pictures(self, first: int, only_key: bool) -> Iterator[tuple[int, av.VideoFrame]]:
        key = max(
            0, int(np.searchsorted(self.index.key_pts, self.index.pts[first], side="right")) - 1
        )
        # Counting has to begin where the file does.
        seen = (
            -1
            if self.index.from_start
            else int(np.searchsorted(self.index.pts, self.index.key_pts[key])) - 1
        )
        seen -= self.index.before
        packets = self._all_packets() if self.index.from_start else self._packets_from(key)
        for packet in self._alone(packets) if only_key else packets:
            heartbeat()
            if packet is not None and packet.pts is None and not self.index.by_order:
                packet.pts = packet.dts  # as in the index
            try:
                pictures = self.stream.codec_context.decode(packet)
            except av.error.FFmpegError as error:
                self._note(error)
                continue
            for picture in pictures:
                position = self._position(picture, seen)
                if position is not None:
                    seen = position
                    yield position, picture

    def _alone(self, packets: Iterator[av.Packet[Any] | None]) -> Iterator[av.Packet[Any] | None]:
        """The packets of the first picture, which may be two fields."""
        yield from itertools.takewhile(
            bool, itertools.islice(packets, 2 if self.index.fields else 1)
        )
        yield None

    def _position(self, picture: av.VideoFrame, seen: int) -> int | None:
        if self.index.by_order:
            return seen + 1 if seen + 1 < len(self.index.pts) else None
        time = picture.dts if self.index.untimed else picture.pts
        if time is None:
            return None
        if len(self.index.parts) > 1:
            return self._position_in_parts(time, seen)
        return self.index.place_of(time, seen)

    def _position_in_parts(self, time: int, seen: int) -> int | None:
        """The first place behind the one seen last that has this time, in the part of the file that
        is read or a later one: pictures come in order, so that a step back is the next part's
        beginning."""
        if seen < 0 and time < self.index.pts[0]:
            # of the first part, before its first key frame; a later part may have the same times
            return None
        for part in range(self._part, len(self.index.parts)):
            place = int(np.searchsorted(self.index.pts, time + self.index.parts[part]))
            if (
                place > seen
                and place < len(self.index.pts)
                and self.index.pts[place] == time + self.index.parts[part]
            ):
                self._part = part
                return place
        return None

    def _all_packets(self) -> Iterator[av.Packet[Any] | None]:
        """From the start, where a container stands that was just opened: bare streams can't be
        sought in."""
        for packet in self.container.demux(self.stream):
            yield packet if packet.size else None

    def _packets_from(self, key: int) -> Iterator[av.Packet[Any] | None]:
        """Packets from exactly that key frame on, then None to drain the decoder."""
        name, dts = self.index.key_name(key), int(self.index.key_dts[key])
        depth = self.stream.codec_context.reorder_depth
        self.stream.codec_context.flush_buffers()
        # FFmpeg may forget what it has learned of the stream, and would give pictures too early.
        self.stream.codec_context.reorder_depth = max(
            depth, self.stream.codec_context.reorder_depth
        )
        # Some containers seek past the key frame, having no table to seek by: then the file is read
        # from its start, by time and, where times are missing, from its first byte.
        ways = (
            {"offset": dts, "stream": self.stream},
            {"offset": 0},
            {"offset": 0, "unsupported_byte_offset": True},
        )
        for how in ways:
            started, to_key = False, "stream" in how
            try:
                self.container.seek(**how)
                for packet in self.container.demux(self.stream):
                    heartbeat()  # for those too that are only skipped: there may be hours of them
                    time = packet_time(packet, self.index.untimed)
                    started = started or (packet.is_keyframe and time == name)
                    if started and packet.size:
                        yield packet
                    elif not started and to_key and packet.dts is not None and packet.dts > dts:
                        break
            except av.error.FFmpegError as error:
                self._note(error)
            if started:
                yield None
                return
