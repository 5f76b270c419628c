"""The track that a camera wrote into the video itself."""

from __future__ import annotations

import logging
from pathlib import Path

import av

from segpipe.sources.container import open_container
from segpipe.telemetry.exiftool import exiftool_track
from segpipe.telemetry.gopro import gopro_track
from segpipe.telemetry.track import Track

logging.getLogger("libav").setLevel(logging.CRITICAL)  # a video without telemetry is no event for the terminal


def embedded_track(path: Path, first_frame_s: float | None = None) -> Track | None:
    """The fixes that a video holds, as found (not cleaned), or None where it holds none. Raises SourceError where finding out
    takes too long.

    `first_frame_s` is the presentation time of the first frame in the container's clock, in seconds: `media_s` counts from there.
    None takes the video stream's start. GoPro's telemetry is read here; for the others `exiftool` is asked, where it is installed.
    All fixes of a video that knows its media times lie on one clock: `time_us` is `media_s` after a start that is the median over
    the fixes, because a camera's UTC jumps when its receiver finds the time.
    """
    try:
        with open_container(path) as container:
            origin_s = _first_frame_s(container) if first_frame_s is None else first_frame_s
            track = gopro_track(path, container, origin_s)
    except (av.error.FFmpegError, OSError, ValueError):
        return None
    return track if track is not None else exiftool_track(path, origin_s)


def _first_frame_s(container: av.container.InputContainer) -> float:
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return float(stream.start_time * stream.time_base) if stream.start_time is not None and stream.time_base else 0.0
    return 0.0
