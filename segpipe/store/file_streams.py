"""What the table `sources` keeps of a file's video streams, in the footer of a source's row: a file
that is known needn't be opened to learn what it holds."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from segpipe.core.errors import DatasetError
from segpipe.core.json_text import read_json
from segpipe.core.video_streams import FileStreams, VideoStream
from segpipe.runtime.files.paths import AnyPath
from segpipe.store.names import table_file
from segpipe.store.reading import footer_metadata
from segpipe.telemetry.metadata import SourceMetadata

FOLDER = "sources"
KEY = "segpipe.facts"


def streams_content(facts: SourceMetadata) -> dict[str, Any]:
    """The part of a footer's JSON that says which stream a source is, and what its file holds."""
    file = facts.file
    held = None if file is None else [_row(s) for s in file.streams]
    return {"stream": facts.info.stream, "file": held}


def streams_of_content(content: dict[str, Any]) -> FileStreams | None:
    """The streams out of a footer's JSON. Raises KeyError, TypeError or ValueError for what was
    never written."""
    if content["file"] is None:
        return None
    return FileStreams(tuple(VideoStream(*row) for row in content["file"]))


def read_streams(root: AnyPath, source_id: str) -> FileStreams | None:
    """The streams of a source's file; None where it has no row, or one that can't be read or says
    nothing of them."""
    try:
        path = table_file(root, FOLDER, source_id)
        content = read_json(footer_metadata(path)[KEY.encode()])
        return streams_of_content(content)
    except (KeyError, TypeError, ValueError, OSError, DatasetError, pa.ArrowException):
        return None


def _row(s: VideoStream) -> list[Any]:
    return [s.number, s.codec, s.width, s.height, s.flagged]
