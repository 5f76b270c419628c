"""Video files by their names, and what makes a source of one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from segpipe.core.types import SourceInfo
from segpipe.sources.base import FoundSource
from segpipe.sources.identity import identify
from segpipe.sources.ids import source_info
from segpipe.sources.known_files import FoundFile
from segpipe.sources.places import resolved

VIDEO_SUFFIXES = frozenset(
    {
        ".mp4",
        ".m4v",
        ".mov",
        ".qt",
        ".mkv",
        ".avi",
        ".divx",
        ".ts",
        ".mts",
        ".m2ts",
        ".m2t",
        ".trp",
        ".tod",
        ".webm",
        ".mpg",
        ".mpeg",
        ".vob",
        ".mod",
        ".m2v",
        ".3gp",
        ".3g2",
        ".flv",
        ".f4v",
        ".wmv",
        ".asf",
        ".mxf",
        ".dv",
        ".ogv",
        ".wtv",
        ".ivf",
        ".insv",
        ".360",
        ".h264",
        ".264",
        ".avc",
        ".h265",
        ".265",
        ".hevc",
    }
)


def found_video(path: Path, stream: int | None = None) -> FoundSource:
    """A video file's default stream as a source, or the one with this number."""
    return video_part(found_source(identify(resolved(path))), stream)


def video_info(path: Path, stream: int | None = None) -> SourceInfo:
    """The identity of a video file's default stream, or of the one with this number."""
    return found_video(path, stream).info


def found_source(file: FoundFile) -> FoundSource:
    """The default video stream of a file as a source."""
    stamp = replace(file.stamp, name=file.path.name)
    gone = (file.replaces.key,) if file.replaces is not None else ()
    info = source_info(file.key, "video", file.path)
    return FoundSource(info, file.path, (stamp,), replaced=gone)


def video_part(found: FoundSource, stream: int | None) -> FoundSource:
    """One video stream of a file; None is the default one."""
    if stream is None:
        return found
    info = source_info(found.info.source_id, "video", found.path, stream)
    return replace(found, info=info, kin_id=found.info.source_id)
