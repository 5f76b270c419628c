"""The video streams of one file: front and rear camera, the halves of a 360° picture, a small copy.
No heavy imports."""

from __future__ import annotations

from dataclasses import dataclass

NOT_READ = "video streams not read: "
"""What the note on a file's other streams begins with."""


@dataclass(frozen=True, slots=True)
class VideoStream:
    """One of a file's video streams. `number` counts them from 0, cover pictures left out (ffmpeg's
    `V:number`).

    `codec` is empty where no decoder here knows it. `width` and `height` are pixels as coded, 0
    where the file doesn't say. `flagged`: the file marks it as the one to be shown.
    """

    number: int
    codec: str
    width: int
    height: int
    flagged: bool

    def __str__(self) -> str:
        if not self.codec:
            return f"{self.number} (no decoder here knows its codec)"
        size = f"{self.width}x{self.height}" if self.width and self.height else "size unknown"
        return f"{self.number} ({size}, {self.codec})"


@dataclass(frozen=True, slots=True)
class FileStreams:
    """The video streams of a file. There is at least one."""

    streams: tuple[VideoStream, ...]

    @property
    def default(self) -> VideoStream:
        """The stream that is read unless another is asked for."""
        return default_of(self.streams)

    @property
    def decodable(self) -> tuple[VideoStream, ...]:
        """Those that a decoder here knows."""
        return tuple(s for s in self.streams if s.codec)


def default_of(streams: tuple[VideoStream, ...]) -> VideoStream:
    """The first stream that the file flags as its default one; where none is, the first."""
    return next((s for s in streams if s.flagged), streams[0])


def numbered(streams: tuple[VideoStream, ...]) -> str:
    """Numbers, sizes and codecs in words, such as "0 (320x240, h264), 1 (640x480, h264)"."""
    return ", ".join(map(str, streams))


def not_read_note(streams: tuple[VideoStream, ...]) -> str:
    """The note on streams that were found and not read; empty where there are none."""
    if not streams:
        return ""
    if not any(s.codec for s in streams):
        return NOT_READ + numbered(streams)
    how = "set sampling.stream to all (each is then a source of its own) or to a number"
    return f"{NOT_READ}{numbered(streams)}; to read them, {how}"


def others_text(streams: tuple[VideoStream, ...], number: int | None) -> str:
    """What the error of a stream that can't be read says of the file's others; empty where it has
    none. None is the default."""
    own = default_of(streams).number if number is None else number
    others = tuple(s for s in streams if s.number != own)
    if not others:
        return ""
    return (
        f"; that is video stream {own}, the file also has {numbered(others)}: choose with "
        "sampling.stream"
    )
