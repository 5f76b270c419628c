"""What passes between the parts: sources, shards, frames, model inputs and results. No behaviour,
no heavy imports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

UInt8 = NDArray[np.uint8]
Float32 = NDArray[np.float32]
Value = bool | int | float | str | None
Values = Mapping[str, Value]
"""Values by the names of their columns."""
VOID = 255
"""The label of a pixel that the network didn't see; never a class."""


@dataclass(frozen=True, slots=True)
class SourceInfo:
    """One source: a video file, the images that lie in one folder, or a live stream. `kind` is its
    row in the table `SOURCES`.

    `source_id` is made from the content: a file's fingerprint, for a folder of images that of the
    first image; of a stream from its URL. So the same clip has the same id on every machine, and
    wherever it lies. `uri` is the absolute path where it was found, or the stream's URL without its
    secrets. `stream` is the number of a video stream that isn't the file's default one, which is a
    source of its own; None for all other sources.
    """

    source_id: str
    kind: str
    uri: str
    stream: int | None = None

    @property
    def file_id(self) -> str:
        """The id of the file that the source is in: its default video stream's."""
        return self.source_id.removeprefix(f"v{self.stream}-")


@dataclass(frozen=True, slots=True)
class FileStamp:
    """A file when it was planned: `name` is what it is called within its source (a video's file
    name, an image's content key), `uri` is where it lay, `body` the part of its fingerprint that
    stays when it grows."""

    name: str
    size_bytes: int
    mtime_ns: int
    uri: str = ""
    body: str = ""


@dataclass(frozen=True, slots=True)
class Shard:
    """A contiguous part of one source: the unit of work, retry and commit.

    `name` is the stem of its files in the dataset and is made from what the shard holds. A video's
    shard is the half-open range `start` to `stop` of positions in its packet index; an image shard
    is the list of `files`. `unreadable` says why, where the source can't be opened at all: the
    shard is then a single failed row, `transient` where it may be readable at another time.
    `siblings` is the number of shards of a video, this one included: so many in the dataset, and
    the video is done; `expected` is the number of wanted frames of the whole video by its packet
    index. `attempt` counts earlier tries. `chosen` are the positions of the wanted frames where the
    video alone doesn't tell (sampling by metres of a track). `before` is the wanted frame before
    the shard's first, -1 where there is none: what changed since then is asked of the first one
    too.
    """

    name: str
    source: SourceInfo
    frame_count: int
    files: tuple[FileStamp, ...]
    start: int = 0
    stop: int = 0
    unreadable: str = ""
    siblings: int = 0
    chosen: tuple[int, ...] = ()
    before: int = -1
    expected: int = 0
    attempt: int = 0
    transient: bool = False


@dataclass(frozen=True, slots=True)
class Position:
    """Where the camera was: degrees in WGS 84, heading clockwise from north. `odometer_m` is the
    way since the track's first fix. `source` names the track. None stands for what isn't known."""

    latitude: float
    longitude: float
    source: str
    altitude_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    accuracy_m: float | None = None
    odometer_m: float | None = None


@dataclass(frozen=True, slots=True)
class FrameRef:
    """Which frame this is. `frame_id` is the primary key of all tables.

    `frame_index` is the position in the video's packet index and `pts_s` its presentation time in
    seconds; both are None for images, which have no place in a stream. `timestamp_us` is UTC in
    microseconds since 1970 and `timestamp_source` the clock that it is from; they and the
    `position` come from the source's facts.
    """

    frame_id: str
    source_id: str
    uri: str
    frame_index: int | None = None
    pts_s: float | None = None
    timestamp_us: int | None = None
    timestamp_source: str | None = None
    position: Position | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """A decoded, upright frame: `rgb` is uint8 [H, W, 3]."""

    ref: FrameRef
    rgb: UInt8


@dataclass(frozen=True, slots=True)
class FrameFailure:
    """A frame that was attempted and failed: it becomes a row with `status = 'error'`. A transient
    one is tried again by the next run."""

    ref: FrameRef
    error: str
    transient: bool = False


@dataclass(frozen=True, slots=True)
class InputGeometry:
    """Where the frame's pixels lie in the network's input.

    The centre of frame pixel (y, x) lies at input position (scale_y * (y + 0.5) + offset_y, and the
    same in x), in input pixels with the edge of the first at 0. Frame rows y0 to y1 and columns x0
    to x1 (half-open) were seen by the network; what a crop left out is void.
    """

    height: int
    width: int
    scale_y: float
    scale_x: float
    offset_y: float = 0.0
    offset_x: float = 0.0
    y0: int = 0
    x0: int = 0
    y1: int = 0
    x1: int = 0


@dataclass(frozen=True, slots=True)
class ModelInput:
    """A frame made ready for the network: `pixels` uint8 [h, w, 3] at the network's size, its
    `view`, and what was measured of the full picture, by the columns of `frames`."""

    ref: FrameRef
    pixels: UInt8
    view: InputGeometry
    picture: Values = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FrameBatch:
    """Inputs of one shape, in the order of the source."""

    inputs: tuple[ModelInput, ...]

    def __post_init__(self) -> None:
        shapes = {i.pixels.shape for i in self.inputs}
        if len(shapes) != 1:
            raise ValueError(
                f"a batch holds inputs of one shape; these are {sorted(shapes)}: group them first"
            )
