"""Live streams as a kind of source."""

from __future__ import annotations


class LiveStreams:
    """A source for each address. Nothing of it can be read again, so that it has no more than the
    answers that its rows in a dataset are described and verified by: `pipeline.live` records it."""

    kind = "stream"
    replayable = False
    in_sequence = True
    files_are_frames = False
