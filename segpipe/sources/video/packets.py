"""The packet index of a video: every frame's time and every key frame, read without decoding."""

from __future__ import annotations

import functools
import stat
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av

from segpipe.core.errors import SourceError, is_transient
from segpipe.core.video_streams import others_text
from segpipe.sources.decoding import MAX_PIXELS, Decoding
from segpipe.sources.video.container import open_container, video_stream, video_streams
from segpipe.sources.video.counted_order import Rate, counted_order
from segpipe.sources.video.decoded_order import decoder_order, is_mistimed
from segpipe.sources.video.frame_index import PacketIndex
from segpipe.sources.video.order import Order, lacks_times, may_be_mistimed, stored_order
from segpipe.sources.video.pictures import Video
from segpipe.sources.video.scan import Scan, cut_off, plain, scan
from segpipe.telemetry.container_tags import clock_tags


def packet_index(
    path: Path, max_pixels: int = MAX_PIXELS, number: int | None = None
) -> PacketIndex:
    """Read the packet index of a video's default stream, or of the one with this number, from
    memory where the file is unchanged. Raises SourceError, also for pictures that are too large."""
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(f"can't be read ({error.strerror})", is_transient(error)) from None
    if not stat.S_ISREG(status.st_mode):  # a pipe or a device would be waited for without end
        raise SourceError("isn't a regular file")
    if status.st_size == 0:
        raise SourceError("the file is empty")
    found = _index(path, status.st_size, status.st_mtime_ns, max_pixels, number)
    if found.transient:  # the next one to ask may see more
        _index.cache_clear()
    return found


@functools.lru_cache(maxsize=64)
def _index(
    path: Path, size_bytes: int, mtime_ns: int, max_pixels: int, number: int | None
) -> PacketIndex:
    try:
        with open_container(path, max_pixels) as container:
            stream, streams = video_stream(container, number), video_streams(container)
            try:
                found = _read(container, stream, path, size_bytes, Decoding(max_pixels=max_pixels))
            except SourceError as error:
                raise SourceError(
                    f"{error}{others_text(streams, number)}", error.transient
                ) from None
            return replace(found, streams=streams)
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file makes FFmpeg's binding raise nearly anything
        raise SourceError(
            f"can't be read as a video ({plain(error)})", is_transient(error)
        ) from None


def _read(
    container: av.container.InputContainer,
    stream: av.VideoStream,
    path: Path,
    size_bytes: int,
    decoding: Decoding,
) -> PacketIndex:
    if stream.codec_context is None:
        raise SourceError("is coded in a way that no decoder here knows")
    decoding.check(stream.codec_context.width, stream.codec_context.height)
    avi = container.format.name == "avi"
    found = scan(container, stream, avi)
    # ASF has one time for each packet. Where FFmpeg makes up the others, it does so anew after each
    # seek.
    made_up = container.format.name == "asf" and any(p.pts != p.dts for p in found.packets)
    order = _order(found, stream, path, decoding, avi, made_up)
    start = container.start_time
    return PacketIndex(
        stream=stream.index,
        time_base=stream.time_base or Fraction(1, 1000),
        pts=order.pts,
        key_pts=order.keys[:, 0],
        key_dts=order.keys[:, 1],
        start_s=start / av.time_base if start is not None else 0.0,
        tags=clock_tags(container, stream),
        missing=found.stopped or order.missing or cut_off(stream, size_bytes),
        untimed=avi,
        by_order=order.by_order,
        parts=order.parts,
        transient=found.transient,
        before=order.before,
        names=order.names,
        key_names=order.key_names,
        edits=order.edits,
        fields=found.fields,
        note=order.note,
    )


def _order(
    found: Scan, stream: av.VideoStream, path: Path, decoding: Decoding, avi: bool, made_up: bool
) -> Order:
    """The frames as the container times them, or by the decoder's order where its times can't be
    right."""
    base = stream.time_base or Fraction(1, 1000)
    coder = stream.codec_context
    video = Video(path, stream.index, base, decoding, coder.reorder_depth)
    rate = Rate(stream.guessed_rate or Fraction(25), stated=bool(coder.framerate))
    reorders = video.held_back > 0
    if found.packets:
        if made_up or (avi and not all(p.key for p in found.packets)):
            return counted_order(found, video, rate, by_place=True)
        if not avi and lacks_times(found, reorders):
            return counted_order(found, video, rate, by_place=False)
        if may_be_mistimed(found, reorders) and is_mistimed(found, video):
            return decoder_order(found, video)
    return stored_order(found, base)
