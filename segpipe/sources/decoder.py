"""Decoding from a key frame on, each picture with its position in the packet index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np

from segpipe.errors import is_transient
from segpipe.frames import FrameFailure, FrameRef, UInt8
from segpipe.isolation import alive
from segpipe.sources.container import packet_time
from segpipe.sources.packets import PacketIndex


class Decoder:
    """Decodes from a key frame on and tells each picture's position in the packet index."""

    def __init__(self, container: av.container.InputContainer, stream: av.VideoStream, index: PacketIndex) -> None:
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
        key = max(0, int(np.searchsorted(self.index.key_pts, self.index.pts[first], side="right")) - 1)
        # Counting has to begin where the file does.
        seen = -1 if self.index.from_start else int(np.searchsorted(self.index.pts, self.index.key_pts[key])) - 1
        for packet in self._all_packets() if self.index.from_start else self._packets_from(key):
            alive()
            try:
                pictures = self.stream.codec_context.decode(packet)
                if only_key and packet is not None:
                    pictures += self.stream.codec_context.decode(None)
            except av.error.FFmpegError as error:
                self._note(error)
                continue
            for picture in pictures:
                position = self._position(picture, seen)
                if position is not None:
                    seen = position
                    yield position, picture
            if only_key:
                return

    def _position(self, picture: av.VideoFrame, seen: int) -> int | None:
        if self.index.by_order:
            return seen + 1 if seen + 1 < len(self.index.pts) else None
        time = picture.dts if self.index.untimed else picture.pts
        if time is None:
            return None
        if len(self.index.parts) > 1:
            return self._position_in_parts(time, seen)
        place = int(np.searchsorted(self.index.pts, time))
        if place <= seen:  # a repeated time: the next of the same
            place = seen + 1
        return place if place < len(self.index.pts) and self.index.pts[place] == time else None

    def _position_in_parts(self, time: int, seen: int) -> int | None:
        """The first place behind the one seen last that has this time, in the part of the file that is read or a later one:
        pictures come in order, so that a step back is the next part's beginning."""
        for part in range(self._part, len(self.index.parts)):
            place = int(np.searchsorted(self.index.pts, time + self.index.parts[part]))
            if place > seen and place < len(self.index.pts) and self.index.pts[place] == time + self.index.parts[part]:
                self._part = part
                return place
        return None

    def _all_packets(self) -> Iterator[av.Packet[Any] | None]:
        self.container.seek(0)
        for packet in self.container.demux(self.stream):
            yield packet if packet.size else None

    def _packets_from(self, key: int) -> Iterator[av.Packet[Any] | None]:
        """Packets from exactly that key frame on, then None to drain the decoder."""
        pts, dts = int(self.index.key_pts[key]), int(self.index.key_dts[key])
        self.stream.codec_context.flush_buffers()
        # Some containers seek past the key frame, having no table to seek by: then the file is read from its start.
        for target in (dts, None):
            self.container.seek(0 if target is None else target, stream=None if target is None else self.stream)
            started = False
            try:
                for packet in self.container.demux(self.stream):
                    alive()  # for those too that are only skipped: there may be hours of them
                    time = packet_time(packet, self.index.untimed)
                    started = started or (packet.is_keyframe and time == pts)
                    if started and packet.size:
                        yield packet
                    elif not started and target is not None and packet.dts is not None and packet.dts > dts:
                        break
            except av.error.FFmpegError as error:
                self._note(error)
            if started:
                yield None
                return


def upright_rgb(picture: av.VideoFrame) -> UInt8:
    """RGB uint8 [H, W, 3], turned as the display matrix says (PyAV gives its angle counter-clockwise)."""
    rgb = np.asarray(picture.to_ndarray(format="rgb24"), np.uint8)
    quarter = round(picture.rotation / 90) % 4
    return np.ascontiguousarray(np.rot90(rgb, quarter)) if quarter else rgb
