"""What a video file itself says of where it was filmed."""

from __future__ import annotations

from pathlib import Path

import av

from segpipe.sources.video.container import open_container
from segpipe.telemetry.embedded import track_in
from segpipe.telemetry.location import location_in
from segpipe.telemetry.track import Track


def embedded_track(path: Path, first_frame_s: float | None = None) -> Track | None:
    """The fixes that a video holds (`track_in`); None where it can't be opened."""
    try:
        with open_container(path) as container:
            return track_in(path, container, first_frame_s)
    except (av.error.FFmpegError, OSError, ValueError):
        return None


def embedded_location(path: Path) -> Track | None:
    """The one place that a video's metadata name (`location_in`); None where it can't be opened."""
    try:
        with open_container(path) as container:
            metadata = dict(container.metadata)
    except (av.error.FFmpegError, OSError, ValueError):
        return None
    return location_in(metadata)
