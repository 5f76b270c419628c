"""What is found out of one source, in a child process: it reads what strangers wrote."""

from __future__ import annotations

import logging
from dataclasses import replace

from segpipe.core.config.job import Job
from segpipe.core.errors import ReaderFailed, SegpipeError, Stopped, one_line
from segpipe.pipeline.facts_key import facts_key
from segpipe.runtime import isolation
from segpipe.sources import FoundSource, source_of
from segpipe.sources.base import TrackFiles
from segpipe.sources.table import file_source_of
from segpipe.telemetry.candidates import track_files
from segpipe.telemetry.metadata import SourceMetadata

log = logging.getLogger(__name__)
_GAVE_UP = "not tried again: "
"""What the note on a source begins with that hit the time-out."""


def facts_of(
    found: FoundSource,
    job: Job,
    old: SourceMetadata | None,
    kin: SourceMetadata | None,
) -> SourceMetadata:
    """The old facts where they were found from the same; else new ones, begun from those of its
    `kin` where there are no old ones. What goes wrong here must not end the run: the source is then
    tried again by the next one, for facts without a key are never the same. One that hit the
    time-out isn't."""
    info = found.info
    tracks = track_files(found.path, job.track, job.follow_links)
    key = facts_key(job, found, tracks)
    if old is not None and old.key == key and not (job.retry_failed and gave_up(old)):
        return replace(old, info=info)
    try:
        facts, lost = _survey(found, job, tracks, old or kin)
    except (ReaderFailed, Stopped):
        raise
    except Exception as error:
        log.debug("%s: the survey failed", info.uri, exc_info=True)
        return _failed(found, error, key, old)
    facts = replace(facts, info=info, drive_id=info.source_id)
    if facts.partial:
        return facts if old is None else replace(old, key="")
    if lost is None:
        return replace(facts, key=key)
    again = "tracks can't be read now" if lost.transient else f"{_GAVE_UP}tracks can't be read"
    # Without a key the next run tries again
    return replace(
        facts, key="" if lost.transient else key, notes=(*facts.notes, f"{again}: {lost}")
    )


def gave_up(facts: SourceMetadata) -> bool:
    """Whether a source hit the time-out: it would do so in each run."""
    return any(note.startswith(_GAVE_UP) for note in facts.notes)


def _failed(
    found: FoundSource, error: Exception, key: str, old: SourceMetadata | None
) -> SourceMetadata:
    """The facts of a source that can't be surveyed. What was known stays: a drive or a network that
    is away for a moment must not cost the rows their times."""
    if isinstance(error, SegpipeError):
        said = str(error)
    else:
        said = f"clocks and tracks can't be read ({one_line(error)})"
    final = isinstance(error, isolation.ChildLost) and not error.transient
    if final:
        said = f"{_GAVE_UP}{said}"
    facts = old or SourceMetadata(found.info, drive_id=found.info.source_id)
    if final or old is None:
        facts = replace(facts, notes=tuple(dict.fromkeys((*facts.notes, said))))
    return replace(facts, key=key if final else "")


def _survey(
    found: FoundSource, job: Job, tracks: TrackFiles, old: SourceMetadata | None
) -> tuple[SourceMetadata, isolation.ChildLost | None]:
    """The facts; and, where reading its tracks crashed or hung, why they are those without new
    tracks. In a child process where the job has it so."""
    if not (job.read.isolate and isolation.POSSIBLE):
        return probe_source(found, job, tracks, old), None
    timeout_s = job.read.timeout_s
    arguments = (found, job, tracks, old)
    try:
        return isolation.call_unless_stopped(probe_source, *arguments, timeout_s=timeout_s), None
    except isolation.ChildLost as lost:
        own_track = source_of(found.info.kind).in_sequence and "embedded" in job.track.order
        if not any(tracks.values()) and not own_track:
            raise
        log.debug("%s: %s; once more without tracks", found.path, lost)
        facts: SourceMetadata = isolation.call_unless_stopped(
            probe_source, *arguments, False, timeout_s=timeout_s
        )
        return facts, lost


def probe_source(
    found: FoundSource,
    job: Job,
    tracks: TrackFiles,
    old: SourceMetadata | None,
    new_tracks: bool = True,
) -> SourceMetadata:
    """What a source's own row finds out of it. Raises SourceError where it can't be opened."""
    return file_source_of(found.info.kind).probe(found, job, tracks, old, new_tracks)
