"""What has to be said of footage that isn't read."""

from __future__ import annotations

from segpipe.core.config.job import Job
from segpipe.sources import Footage
from segpipe.telemetry.candidates import track_files


def notes_on_footage(job: Job, footage: Footage) -> list[str]:
    """The note on what lies among the footage and isn't read, neither as footage nor as its
    track."""
    tracks = (
        path
        for place in dict.fromkeys(found.path for found in footage.sources)
        for files in track_files(place, job.track, job.follow_links).values()
        for path in files
    )
    said = footage.not_read.without(tracks).describe()
    return [said] if said else []
