"""The packet index of a video: every frame's time and every key frame, read without decoding."""

from __future__ import annotations

import functools
import stat
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from segpipe.errors import SourceError, is_transient
from segpipe.isolation import alive
from segpipe.sources.container import limit, open_container, packet_time, video_stream
from segpipe.sources.decoding import MAX_PIXELS, Decoding
from segpipe.sources.unwrapped import Unwrapped


@dataclass(frozen=True)
class PacketIndex:
    """The frames that a video shows, in presentation order.

    `pts` int64 [N] in units of `time_base` seconds: the position in it is the `frame_index`. Packets that an edit list
    hides, and those before the first key frame, are not in it: no player shows them. `key_pts` and `key_dts` int64 [K]
    are the key packets, hidden ones too, sorted by time: decoding can begin there. `missing` says what the file lacks, `transient`
    that it may be there at another time.
    `untimed`: the container (AVI) stores no presentation times, the places in the file stand for them; `by_order`: its pictures
    may come in another order than their packets, so they are counted instead of recognised. `parts` are the offsets that were added
    to the times of each part of a file whose times begin anew in its middle, as when two recordings were put one behind the other.
    """

    stream: int
    time_base: Fraction
    pts: NDArray[np.int64]
    key_pts: NDArray[np.int64]
    key_dts: NDArray[np.int64]
    start_s: float
    creation_time: str | None
    missing: str
    untimed: bool
    by_order: bool
    parts: tuple[int, ...] = (0,)
    transient: bool = False

    @property
    def from_start(self) -> bool:
        """Whether decoding has to begin where the file does: there is no seeking by time in it."""
        return self.by_order or len(self.parts) > 1

    @property
    def times_s(self) -> NDArray[np.float64]:
        """Presentation time of each frame in seconds, float64 [N]."""
        return self.pts.astype(np.float64) * (self.time_base.numerator / self.time_base.denominator)

    def key_indices(self) -> NDArray[np.int64]:
        """Positions in `pts` that are key frames, int64, sorted."""
        place = np.searchsorted(self.pts, self.key_pts)
        shown = place < len(self.pts)
        shown[shown] = self.pts[place[shown]] == self.key_pts[shown]
        return np.unique(place[shown])


def packet_index(path: Path, max_pixels: int = MAX_PIXELS) -> PacketIndex:
    """Read a video's packet index, from memory where the file is unchanged. Raises SourceError, also for pictures
    that are too large."""
    try:
        status = path.stat()
    except OSError as error:
        raise SourceError(f"can't be read ({error.strerror})", is_transient(error)) from None
    if not stat.S_ISREG(status.st_mode):  # a pipe or a device would be waited for without end
        raise SourceError("isn't a regular file")
    if status.st_size == 0:
        raise SourceError("the file is empty")
    found = _index(path, status.st_size, status.st_mtime_ns, max_pixels)
    if found.transient:  # the next one to ask may see more
        _index.cache_clear()
    return found


@functools.lru_cache(maxsize=64)
def _index(path: Path, size_bytes: int, mtime_ns: int, max_pixels: int) -> PacketIndex:
    try:
        with open_container(path, max_pixels) as container:
            return _read(container, size_bytes, Decoding(max_pixels=max_pixels))
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file makes FFmpeg's binding raise nearly anything
        raise SourceError(f"can't be read as a video ({_plain(error)})", is_transient(error)) from None


def _read(container: av.container.InputContainer, size_bytes: int, decoding: Decoding) -> PacketIndex:
    stream = video_stream(container)
    if stream.codec_context is None:
        raise SourceError("is coded in a way that no decoder here knows")
    decoding.check(stream.codec_context.width, stream.codec_context.height)
    avi = container.format.name == "avi"
    found = _demuxed(container, stream, avi)
    shown, keys, missing = found.shown, found.keys, found.stopped
    if not shown or not keys:
        said = f"holds no {'frames' if not shown else 'key frame, so nothing can be decoded'}"
        raise SourceError(missing or said, found.transient)
    key_array = np.array(sorted(keys), np.int64)
    pts_array = np.sort(np.array(shown, np.int64))
    by_order = avi and len(keys) < len(shown)
    if by_order:
        limit(stream, decoding)
        pts_array, key_array, said = _count_pictures(container, stream, pts_array)
        missing = missing or said
    pts_array = pts_array[pts_array >= key_array[0, 0]]
    if not len(pts_array):
        raise SourceError("holds no frame that can be decoded: all come before the first key frame")
    start = container.start_time
    return PacketIndex(
        stream=stream.index,
        time_base=stream.time_base or Fraction(1, 1000),
        pts=pts_array,
        key_pts=key_array[:, 0],
        key_dts=key_array[:, 1],
        start_s=start / av.time_base if start is not None else 0.0,
        creation_time=container.metadata.get("creation_time"),
        missing=missing or _cut_off(stream, size_bytes),
        untimed=avi,
        by_order=by_order,
        parts=found.parts,
        transient=found.transient,
    )


@dataclass(frozen=True)
class _Demuxed:
    """Times of the packets that are shown, PTS and DTS of key packets, the offsets of the file's parts, and why reading stopped."""

    shown: list[int]
    keys: list[tuple[int, int]]
    parts: tuple[int, ...]
    stopped: str = ""
    transient: bool = False


def _demuxed(container: av.container.InputContainer, stream: av.VideoStream, untimed: bool) -> _Demuxed:
    shown: list[int] = []
    keys: list[tuple[int, int]] = []
    stopped, transient = "", False
    clock = Unwrapped(stream.time_base or Fraction(1, 1000))
    try:
        for packet in container.demux(stream):
            alive()
            pts = packet_time(packet, untimed)
            if pts is None or packet.size == 0:
                continue
            offset = clock.offset(packet.dts if packet.dts is not None else pts)
            if packet.is_keyframe:
                keys.append((pts + offset, (packet.dts if packet.dts is not None else pts) + offset))
            if not packet.is_discard:
                shown.append(pts + offset)
    except av.error.FFmpegError as error:
        stopped, transient = f"reading stopped after {len(shown)} frames ({_plain(error)})", is_transient(error)
    return _Demuxed(shown, keys, tuple(clock.offsets), stopped, transient)


def _count_pictures(
    container: av.container.InputContainer, stream: av.VideoStream, places: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], str]:
    """Decode a file whose pictures carry no times and may change their order: times and key frames of those that there are."""
    container.seek(0)
    keys = []
    for packet in container.demux(stream):
        alive()
        try:
            keys += [picture.key_frame for picture in stream.codec_context.decode(packet if packet.size else None)]
        except av.error.FFmpegError:
            continue
    found = places[: len(keys)]
    key_places = found[np.flatnonzero(keys[: len(found)])]
    if not len(key_places):
        raise SourceError("holds no frame that can be decoded")
    lost = len(places) - len(found)
    said = f"{lost} of {len(places)} frames can't be decoded" if lost else ""
    return found, np.stack([key_places, key_places], axis=1), said


def _cut_off(stream: av.VideoStream, size_bytes: int) -> str:
    """What the container's own table lists beyond the end of the file: the file was cut off."""
    beyond = sum(1 for entry in stream.index_entries if entry.pos + entry.size > size_bytes)
    if not beyond:
        return ""
    return f"the file is cut off: its last {beyond} of {len(stream.index_entries)} frames are missing"


def _plain(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
