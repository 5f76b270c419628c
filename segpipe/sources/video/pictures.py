"""A stream's pictures as its decoder gives them, for their times and their order alone."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av

from segpipe.runtime.isolation import heartbeat
from segpipe.sources.decoding import Decoding
from segpipe.sources.video.container import limit, open_container
from segpipe.sources.video.scan import Scan, scan

Picture = tuple[int | None, bool]
"""A picture's time, if it has one, and whether it is a key frame."""


@dataclass(frozen=True)
class Video:
    """A stream of a file that can be opened again to decode it. `held_back`: how many pictures its
    decoder holds back to change their order."""

    path: Path
    stream: int
    time_base: Fraction
    decoding: Decoding
    held_back: int
    edits: bool = True

    def scanned(self) -> Scan:
        """Its packets."""
        with open_container(self.path, self.decoding.max_pixels, self.edits) as container:
            stream = container.streams[self.stream]
            assert isinstance(stream, av.VideoStream)  # noqa: S101 - for mypy
            return scan(container, stream, untimed=False)

    def decoded(self, dts: int | None = None) -> Iterator[Picture]:
        """Time and "is a key frame" of each picture that can be decoded, in the order of showing,
        from the file's start or from about this decoding time on."""
        with open_container(self.path, self.decoding.max_pixels, self.edits) as container:
            stream = container.streams[self.stream]
            assert isinstance(stream, av.VideoStream)  # noqa: S101 - for mypy
            limit(stream, self.decoding)
            if dts is not None:
                container.seek(dts, stream=stream)
            with contextlib.suppress(av.error.FFmpegError):  # the scan has told why reading stops
                for packet in container.demux(stream):
                    heartbeat()
                    with contextlib.suppress(av.error.FFmpegError):
                        for picture in stream.codec_context.decode(packet if packet.size else None):
                            yield picture.pts, bool(picture.key_frame)
