"""Opening a video: which formats may be opened at all, its stream of pictures, and how that is
decoded."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import av
from av.stream import Disposition

from segpipe.core.errors import SourceError
from segpipe.core.video_streams import VideoStream, default_of, numbered
from segpipe.sources.decoding import MAX_PIXELS, Decoding

# What FFmpeg has to say of a bad file stands in the error.
logging.getLogger("libav").setLevel(logging.CRITICAL)

FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,m4v,flv,asf,ogg,mxf,"
    "ivf,obu,dv,nut,wtv"
)
"""What a file may hold: containers and bare streams of pictures, no playlists."""

_LIVE = frozenset({"hls", "dash", "rtsp", "sdp", "mpjpeg", "mjpeg", "image2", "image2pipe"})
"""Formats whose playlists and parts have a size while the stream has no end."""
_ENDLESS_BYTES = 2**36
"""Servers of endless streams that can't do without a length name one like this."""


def open_container(
    path: Path, max_pixels: int = MAX_PIXELS, edits: bool = True
) -> av.container.InputContainer:
    """Open a video by its local path; the `file:` prefix keeps names with a colon from being taken
    for a protocol.

    FFmpeg goes by content: a playlist under a video's name would have it open other files and
    addresses, so that formats and protocols are named. It decodes some frames to learn of them, so
    that the limit on pixels has to stand here already. Without `edits`, an edit list hides nothing
    and moves no times.
    """
    options = {
        "max_pixels": str(max_pixels),
        "format_whitelist": FORMATS,
        "protocol_whitelist": "file",
    }
    if not edits:
        options["ignore_editlist"] = "1"
    return av.open(f"file:{path}", metadata_errors="replace", options=options)


def video_stream(
    container: av.container.InputContainer, number: int | None = None
) -> av.VideoStream:
    """The stream of moving pictures with this number (`video_streams`), or the default one. Raises
    SourceError where there is none."""
    streams = _moving(container)
    found = video_streams(container)
    if not streams:
        kinds = ", ".join(sorted({s.type for s in container.streams})) or "none"
        raise SourceError(f"holds no video stream (streams: {kinds})")
    if number is None:
        return streams[default_of(found).number]
    if number >= len(streams):
        many = "1 video stream" if len(streams) == 1 else f"{len(streams)} video streams"
        raise SourceError(
            f"holds {many}: {numbered(found)}; there is no stream {number} (sampling.stream)"
        )
    return streams[number]


def video_streams(container: av.container.InputContainer) -> tuple[VideoStream, ...]:
    """The container's streams of moving pictures, numbered from 0. A cover picture is none."""
    return tuple(_described(number, stream) for number, stream in enumerate(_moving(container)))


def _moving(container: av.container.InputContainer) -> list[av.VideoStream]:
    return [s for s in container.streams.video if not s.disposition & Disposition.attached_pic]


def _described(number: int, stream: av.VideoStream) -> VideoStream:
    flagged, coder = bool(stream.disposition & Disposition.default), stream.codec_context
    if coder is None:
        return VideoStream(number, "", 0, 0, flagged)
    return VideoStream(number, coder.name, coder.width, coder.height, flagged)


def has_end(container: av.container.InputContainer) -> bool:
    """Whether what was opened from an address is media with an end: it has a duration, or its
    server said a length."""
    names = set(container.format.name.split(","))
    if (container.duration or 0) > 0:
        return True
    return (
        0 < container.size < _ENDLESS_BYTES
        and not names & _LIVE
        and not any(n.endswith("_pipe") for n in names)
    )


def limit(stream: av.VideoStream, decoding: Decoding) -> None:
    """Set a stream's decoder up, before it is opened: its threads, and the size of pictures that it
    refuses to decode."""
    stream.codec_context.thread_count = decoding.threads
    stream.codec_context.thread_type = "AUTO"
    stream.codec_context.options = {"max_pixels": str(decoding.max_pixels)}


def packet_time(packet: av.Packet[Any], untimed: bool) -> int | None:
    """The presentation time of a packet, or its place in the file where presentation times don't
    exist."""
    return packet.dts if untimed or packet.pts is None else packet.pts
