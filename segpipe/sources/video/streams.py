"""Which video streams of a file are read."""

from __future__ import annotations

from pathlib import Path

from segpipe.core.config.job import Job
from segpipe.core.video_streams import FileStreams, VideoStream
from segpipe.runtime import isolation, stopping
from segpipe.sources.base import FoundSource, KnownStreams
from segpipe.sources.video.container import open_container, video_streams


def wanted_streams(found: FoundSource, job: Job, known: KnownStreams) -> tuple[int | None, ...]:
    """The numbers of the streams to read of a video by `sampling.stream`, None for its default one.
    Of a file that can't be opened now it is the default one: reading it will tell why."""
    which = job.sampling.stream
    if which == "default":
        return (None,)
    stopping.check()
    streams = _known(found, which, known) or _look(found.path, job)
    if streams is None:
        return (None,)
    default = streams.default.number
    if isinstance(which, int):
        return (None if which == default else which,)
    return (None, *(s.number for s in streams.decodable if s.number != default))


def _known(found: FoundSource, which: int | str, known: KnownStreams) -> FileStreams | None:
    """What the dataset knows of a file's streams: from its default source or the wanted one."""
    source_id = found.info.source_id
    ids = [source_id, *([f"v{which}-{source_id}"] if isinstance(which, int) else [])]
    return next((s for s in map(known, ids) if s is not None), None)


def _look(path: Path, job: Job) -> FileStreams | None:
    """Open a file for its streams, in a child process where the job has it so; None where that
    can't be done."""
    try:
        if job.read.isolate and isolation.POSSIBLE:
            streams = isolation.call_unless_stopped(
                look, path, job.read.max_pixels, timeout_s=job.read.timeout_s
            )
        else:
            streams = look(path, job.read.max_pixels)
    except isolation.ChildLost:
        return None
    return FileStreams(streams) if streams else None


def look(path: Path, max_pixels: int) -> tuple[VideoStream, ...]:
    """The video streams of a file; none where it can't be opened."""
    try:
        if not path.is_file():  # a pipe would be waited for without end
            return ()
        with open_container(path, max_pixels) as container:
            return video_streams(container)
    except Exception:  # noqa: BLE001 - a damaged file makes FFmpeg's binding raise nearly anything; reading it tells what
        return ()
