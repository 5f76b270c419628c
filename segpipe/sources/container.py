"""Opening a video: which formats may be opened at all, its stream of pictures, and how that is decoded."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import av

from segpipe.errors import SourceError
from segpipe.sources.decoding import MAX_PIXELS, Decoding

logging.getLogger("libav").setLevel(logging.CRITICAL)  # what FFmpeg has to say of a bad file stands in the error

FORMATS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,h264,hevc,m4v,flv,asf,ogg,mxf,ivf,obu,dv,nut,wtv"
"""What a file may hold: containers and bare streams of pictures, no playlists."""


def open_container(path: Path, max_pixels: int = MAX_PIXELS) -> av.container.InputContainer:
    """Open a video by its local path; the `file:` prefix keeps names with a colon from being taken for a protocol.

    FFmpeg goes by content: a playlist under a video's name would have it open other files and addresses, so that formats and
    protocols are named. It decodes some frames to learn of them, so that the limit on pixels has to stand here already.
    """
    options = {"max_pixels": str(max_pixels), "format_whitelist": FORMATS, "protocol_whitelist": "file"}
    return av.open(f"file:{path}", metadata_errors="replace", options=options)


def video_stream(container: av.container.InputContainer) -> av.VideoStream:
    """The first stream of moving pictures; a cover picture is none. Raises SourceError where there is none."""
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return stream
    kinds = ", ".join(sorted({s.type for s in container.streams})) or "none"
    raise SourceError(f"holds no video stream (streams: {kinds})")


def limit(stream: av.VideoStream, decoding: Decoding) -> None:
    """Set a stream's decoder up, before it is opened: its threads, and the size of pictures that it refuses to decode."""
    stream.codec_context.thread_count = decoding.threads
    stream.codec_context.thread_type = "AUTO"
    stream.codec_context.options = {"max_pixels": str(decoding.max_pixels)}


def packet_time(packet: av.Packet[Any], untimed: bool) -> int | None:
    """The presentation time of a packet, or its place in the file where presentation times don't exist."""
    return packet.dts if untimed or packet.pts is None else packet.pts
