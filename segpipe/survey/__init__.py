"""What is found out of each source before its frames are read: clocks, track, ego mask, drive. Kept in the table `sources`."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import astuple, replace
from pathlib import Path

from segpipe import isolation, stopping
from segpipe.config import Job
from segpipe.errors import ConfigError, ReaderFailed, SegpipeError, Stopped, one_line
from segpipe.frames import FileStamp, SourceInfo
from segpipe.regions import Regions
from segpipe.sources import Footage
from segpipe.sources.identity import source_info, stamp
from segpipe.store.places import AnyPath
from segpipe.store.sources import all_facts, write_facts
from segpipe.survey.images import survey_folder
from segpipe.survey.videos import survey_video
from segpipe.telemetry.choose import check_files, track_files
from segpipe.telemetry.drives import with_drives
from segpipe.telemetry.facts import SourceFacts
from segpipe.where import TrackName

VERSION = 1
"""Another version of this code finds other facts: they are then found again."""
TrackFiles = dict[TrackName, list[Path]]
Survey = dict[str, SourceFacts]
log = logging.getLogger(__name__)


def survey(job: Job, footage: Footage, root: AnyPath) -> Survey:
    """The facts of every source of the job, by source id, written to the dataset at `root` where they are new.

    What was found from the same files and settings before is taken from the dataset. A source of which nothing can be
    found out has facts that say so.
    """
    known = {f.info.source_id: f for f in all_facts(root)}
    found: Survey = {}
    sources: list[tuple[Path, tuple[Path, ...] | None]] = [*((v, None) for v in footage.videos), *footage.images.items()]
    for path, images in sources:
        stopping.check()
        info = source_info(path, "video" if images is None else "images")
        facts = _facts(info, path, images, job, known.get(info.source_id))
        found[info.source_id] = facts
        if _differs(facts, known.get(info.source_id)):  # at once: what a killed run found out needn't be found again
            write_facts(root, facts)
            known[info.source_id] = facts
    everything = with_drives(list((known | found).values()), job.time.drive_gap_s)
    for facts in everything:
        stopping.check()
        if _differs(facts, known.get(facts.info.source_id)):
            write_facts(root, facts)
    return {f.info.source_id: f for f in everything if f.info.source_id in found}


def check(job: Job, footage: Footage) -> None:
    """Raises SourceError or ConfigError for a named track file that can't be used, and ConfigError for an explicit start with more
    than one source and for regions that overlap in too many ways."""
    if job.time.start is not None and (len(footage.videos) != 1 or footage.images):
        raise ConfigError(
            f"time.start is the time of one video's beginning, and the inputs are {len(footage.videos)} videos and "
            f"{len(footage.images)} folders of images: run them one by one, or let clocks tell (time.order)"
        )
    check_files(job.track, job.time.timezone)
    Regions(job.regions, job.ignore_regions).at(540, 960)


def _facts(info: SourceInfo, path: Path, images: tuple[Path, ...] | None, job: Job, old: SourceFacts | None) -> SourceFacts:
    """The old facts where they were found from the same; else new ones. What goes wrong here must not end the run: the source is
    then tried again by the next one, for facts without a key are never the same."""
    files = track_files(path, job.track)
    key = _key(job, tuple(stamp(p) for p in ((path,) if images is None else images)), files)
    if old is not None and old.key == key:
        return old
    try:
        facts, lost = _survey(path, images, job, files, old)
        if facts.partial:
            return replace(facts, drive_id=info.source_id) if old is None else replace(old, key="")
        if lost:  # and without a key: the next run tries again
            return replace(facts, drive_id=info.source_id, notes=(*facts.notes, f"tracks can't be read now: {lost}"))
        return replace(facts, key=key, drive_id=info.source_id)
    except (ReaderFailed, Stopped):
        raise
    except Exception as error:
        log.debug("%s: the survey failed", info.uri, exc_info=True)
        said = str(error) if isinstance(error, SegpipeError) else f"clocks and tracks can't be read ({one_line(error)})"
        # What was known stays: a drive or a network that is away for a moment must not cost the rows their times.
        return replace(old, key="") if old is not None else SourceFacts(info, drive_id=info.source_id, notes=(said,))


def _survey(
    path: Path, images: tuple[Path, ...] | None, job: Job, files: TrackFiles, old: SourceFacts | None
) -> tuple[SourceFacts, str]:
    """The facts; and, where reading its tracks crashed or hung, why they are those without new tracks. In a child process where the
    job has it so: it reads what strangers wrote."""
    video = images is None
    work = (survey_video, path, job, files, old) if video else (survey_folder, path, images, job, files, old)
    if not (job.read.isolate and isolation.POSSIBLE):
        return work[0](*work[1:]), ""  # type: ignore[operator]
    try:
        return isolation.call_unless_stopped(*work, timeout_s=job.read.timeout_s), ""
    except isolation.ChildLost as lost:
        if not any(files.values()) and not (video and "embedded" in job.track.order):
            raise
        log.debug("%s: %s; once more without tracks", path, lost)
        work = (survey_video, path, job, {}, old) if video else (survey_folder, path, images, job, {}, old)
        more = (False,) if video else ()
        facts: SourceFacts = isolation.call_unless_stopped(*work, *more, timeout_s=job.read.timeout_s)
        if not video and old is not None:
            facts = replace(facts, track=old.track, refused=old.refused)
        return facts, str(lost)


def _differs(facts: SourceFacts, old: SourceFacts | None) -> bool:
    drive = (facts.key, facts.drive_id, facts.drive_index, facts.gap_before_s)
    return old is None or drive != (old.key, old.drive_id, old.drive_index, old.gap_before_s)


def _key(job: Job, stamps: tuple[FileStamp, ...], files: TrackFiles) -> str:
    """A digest of all that the facts follow from."""
    tracks = [[kind, [[str(p), *astuple(stamp(p))] for p in paths]] for kind, paths in files.items()]
    content = [VERSION, [astuple(s) for s in stamps], tracks, job.time.model_dump_json(), job.track.model_dump_json(), job.ego_mask]
    return hashlib.blake2b(json.dumps(content).encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()
