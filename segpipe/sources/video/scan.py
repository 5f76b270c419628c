"""Reading a video's packets without decoding them."""

from __future__ import annotations

from dataclasses import dataclass

import av

from segpipe.core.errors import is_transient
from segpipe.core.text import counted
from segpipe.runtime.isolation import heartbeat
from segpipe.sources.video.fields import FieldPairs
from segpipe.sources.video.unwrapped import PacketTimes


@dataclass(frozen=True)
class Scan:
    """The packets that pictures begin in, in the order of coding. `fields`: others hold the second
    fields of their pictures. `stopped` says why reading ended early, `transient` that it may go
    further at another time."""

    packets: tuple[PacketTimes, ...]
    fields: bool = False
    stopped: str = ""
    transient: bool = False


def scan(container: av.container.InputContainer, stream: av.VideoStream, untimed: bool) -> Scan:
    """Read all packets of a stream; `untimed` containers store no presentation times."""
    found: list[PacketTimes] = []
    fields, stopped, transient = False, "", False
    pairs = FieldPairs(stream.codec_context.name, stream.codec_context.extradata)
    try:
        for packet in container.demux(stream):
            heartbeat()
            if packet.size == 0:
                continue
            if pairs.is_second(packet):
                fields = True
                continue
            pts = None if untimed else packet.pts
            found.append(PacketTimes(pts, packet.dts, packet.is_keyframe, packet.is_discard))
    except av.error.FFmpegError as error:
        stopped = f"reading stopped after {counted(len(found), 'frame')} ({plain(error)})"
        transient = is_transient(error)
    return Scan(tuple(found), fields, stopped, transient)


def cut_off(stream: av.VideoStream, size_bytes: int) -> str:
    """What the container's table lists beyond the end of the file: the file was cut off."""
    entries = stream.index_entries
    beyond = sum(1 for entry in entries if entry.pos + entry.size > size_bytes)
    if not beyond:
        return ""
    return f"the file is cut off; missing at its end: {beyond} of {counted(len(entries), 'frame')}"


def plain(error: Exception) -> str:
    """What an error of FFmpeg says, without the address that it happened at."""
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
