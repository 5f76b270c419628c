"""The sample drive: a video, its true label maps and its GPX track, rendered here and always the
same."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import av
import cv2

from segpipe.core.errors import DatasetError
from segpipe.core.types import UInt8
from segpipe.training.sample.camera import as_a_camera
from segpipe.training.sample.canvas import CLASSES, FAR_M, NEAR_M, Canvas
from segpipe.training.sample.folder import IMAGES, LABELS, emptied, is_ours
from segpipe.training.sample.ground import sky_and_ground
from segpipe.training.sample.paint import PAINTERS
from segpipe.training.sample.world import Thing, bend, build, travelled

START = datetime(2026, 5, 1, 10, 0, 0, tzinfo=UTC)
ORIGIN_LAT, ORIGIN_LON = 52.2000, 0.1200
_METRES_PER_DEGREE = 111_320.0
# Without mbtree=0 the same pictures give another file each time (x264's vector code on some
# processors).
ENCODER = {"crf": "21", "preset": "veryfast", "x264-params": "mbtree=0"}


@dataclass(frozen=True, slots=True)
class DriveSettings:
    """Size and length of the drive; `images` writes each frame as a JPEG too, for training on
    them."""

    seconds: float = 20.0
    fps: int = 15
    width: int = 1280
    height: int = 720
    seed: int = 7
    images: bool = False

    @property
    def frame_count(self) -> int:
        """Frames of the whole drive."""
        return round(self.seconds * self.fps)


@dataclass(frozen=True, slots=True)
class DriveFiles:
    """What `render_drive` wrote: `labels` holds `000000.png` and so on, one for each frame of the
    video; `images` the same as JPEGs where they were asked for."""

    video: Path
    labels: Path
    track: Path
    classes: Path
    images: Path


def render_frame(
    settings: DriveSettings, things: list[Thing], time_s: float
) -> tuple[UInt8, UInt8]:
    """The picture uint8 [H, W, 3] and its true labels uint8 [H, W] at a time."""
    canvas = Canvas(settings.width, settings.height, travelled(time_s))
    sky_and_ground(canvas)
    seen = []
    for thing in things:
        s, d = thing.place_at(time_s)
        end = s + thing.length - canvas.camera_s
        solid = thing.kind in {"building", "fence"}
        if (
            s - canvas.camera_s < FAR_M
            and end > NEAR_M + 0.3
            and (solid or s - canvas.camera_s > NEAR_M + 0.6)
        ):
            seen.append((s, d, thing))
    # Houses are long: their far end decides, so that what stands before them is painted over them.
    order = sorted(
        seen, key=lambda t: -(t[0] + (t[2].length if t[2].kind in {"building", "fence"} else 0.0))
    )
    for s, d, thing in order:
        PAINTERS[thing.kind](canvas, thing, s, d)
    return as_a_camera(canvas.rgb, settings.seed, round(time_s * settings.fps)), canvas.labels


def position(time_s: float) -> tuple[float, float]:
    """Latitude and longitude of the camera in degrees (WGS 84): the street begins at the origin and
    leads east."""
    s = travelled(time_s)
    lat = ORIGIN_LAT - float(bend(s)) / _METRES_PER_DEGREE
    lon = ORIGIN_LON + s / (_METRES_PER_DEGREE * math.cos(math.radians(ORIGIN_LAT)))
    return lat, lon


def render_drive(
    folder: Path,
    settings: DriveSettings | None = None,
    on_frame: Callable[[], object] | None = None,
) -> DriveFiles:
    """Render the drive into a folder: `drive.mp4`, `labels/`, `drive.gpx`, `classes.json`.

    The same settings give the same pictures, labels and track. Raises DatasetError where the folder
    can't be written, or its `labels` or `images` are somebody else's.
    """
    settings = settings or DriveSettings()
    files = DriveFiles(
        folder / "drive.mp4",
        folder / LABELS,
        folder / "drive.gpx",
        folder / "classes.json",
        folder / IMAGES,
    )
    try:
        emptied(files.labels)
        if settings.images or is_ours(files.images):
            emptied(files.images)
        files.track.write_text(_gpx(settings), encoding="utf-8")
        classes = [{"id": i, "name": name} for i, name in enumerate(CLASSES)]
        files.classes.write_text(
            json.dumps({"ignore_index": 11, "classes": classes}, indent=2) + "\n", encoding="utf-8"
        )
        _video(files, settings, on_frame or (lambda: None))
    except OSError as error:
        raise DatasetError(
            f"{folder}: the sample drive can't be written there ({error.strerror or error})"
        ) from None
    return files


def _video(files: DriveFiles, settings: DriveSettings, on_frame: Callable[[], object]) -> None:
    things = build(settings.seed)
    aside = files.video.with_name("drive.tmp.mp4")
    with av.open(str(aside), "w", options={"movflags": "faststart"}) as container:
        container.metadata["creation_time"] = START.isoformat().replace("+00:00", "Z")
        stream = container.add_stream("libx264", rate=settings.fps, options=ENCODER)
        stream.width, stream.height, stream.pix_fmt = settings.width, settings.height, "yuv420p"
        stream.gop_size = settings.fps * 2
        for i in range(settings.frame_count):
            rgb, labels = render_frame(settings, things, i / settings.fps)
            cv2.imwrite(str(files.labels / f"{i:06d}.png"), labels)
            if settings.images:
                cv2.imwrite(
                    str(files.images / f"{i:06d}.jpg"),
                    rgb[..., ::-1],
                    [cv2.IMWRITE_JPEG_QUALITY, 92],
                )
            picture = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            picture.pts, picture.time_base = i, Fraction(1, settings.fps)
            container.mux(stream.encode(picture))
            on_frame()
        container.mux(stream.encode(None))
    aside.replace(files.video)


def _gpx(settings: DriveSettings) -> str:
    """One fix a second, from the first frame to the last, and one more."""
    points = []
    for second in range(math.ceil(settings.seconds) + 1):
        lat, lon = position(float(second))
        time = (START + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")
        points.append(
            f'      <trkpt lat="{lat:.8f}" '
            f'lon="{lon:.8f}"><ele>12.0</ele><time>{time}</time></trkpt>'
        )
    head = (
        '<?xml version="1.0" encoding="UTF-8"?>\n<gpx version="1.1" creator="segpipe" '
        'xmlns="http://www.topografix.com/GPX/1/1">\n'
    )
    return (
        head
        + "  <trk><name>sample drive</name>\n    <trkseg>\n"
        + "\n".join(points)
        + "\n    </trkseg>\n  </trk>\n</gpx>\n"
    )
