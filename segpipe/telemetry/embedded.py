"""The track that a camera wrote into the video itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from segpipe.telemetry.exiftool import exiftool_track
from segpipe.telemetry.gopro import gopro_track
from segpipe.telemetry.pace import stated_over_moved
from segpipe.telemetry.time_map import Rate
from segpipe.telemetry.track import NO_TIME, Track

_OTHER = 1.5
"""Positions that go by so many times faster or slower than the speeds say are of a time lapse or a
slow motion."""
_MOST_S = 10.0


def track_in(
    path: Path, container: av.container.InputContainer, first_frame_s: float | None = None
) -> Track | None:
    """The fixes that an open video holds, as found (not cleaned), or None where it holds none.
    Raises SourceError where finding out takes too long. `path` is where the video lies, for
    exiftool.

    `first_frame_s` is the presentation time of the first frame in the container's clock, in
    seconds: `media_s` counts from there. None takes the video stream's start. GoPro's telemetry is
    read here; for the others `exiftool` is asked, where it is installed. All fixes of a video that
    knows its media times lie on one clock: `time_us` is `media_s` after a start that is the median
    over the fixes, because a camera's UTC jumps when its receiver finds the time. Where UTC doesn't
    run like the film, `rate` has the map from one to the other, and `time_us` is by that map.
    """
    try:
        origin_s = _first_frame_s(container) if first_frame_s is None else first_frame_s
        track = gopro_track(path, container, origin_s)
    except (av.error.FFmpegError, OSError, ValueError):
        return None
    track = track if track is not None else exiftool_track(path, origin_s)
    return None if track is None else _paced(track)


def _paced(track: Track) -> Track:
    """The track; of one without UTC whose fixes lie as far apart as in no film of real time (by its
    own speeds), with a rate that isn't known."""
    if (
        (track.time_us != NO_TIME).any()
        or not track.rate.known
        or not np.isfinite(track.media_s).all()
    ):
        return track
    order = np.argsort(track.media_s, kind="stable")
    ratio = stated_over_moved(track.take(order), track.media_s[order], _MOST_S)
    if not ratio.agreed or 1 / _OTHER <= ratio.value <= _OTHER:
        return track
    said = (
        "by the telemetry's speeds and positions the film runs "
        f"{1 / ratio.value:.2g} times as fast as real time, and the telemetry has no UTC to "
        "place its frames by"
    )
    return replace(track, rate=Rate(known=False, notes=(*track.rate.notes, said)))


def _first_frame_s(container: av.container.InputContainer) -> float:
    for stream in container.streams.video:
        if not stream.disposition & av.stream.Disposition.attached_pic:
            return (
                float(stream.start_time * stream.time_base)
                if stream.start_time is not None and stream.time_base
                else 0.0
            )
    return 0.0
