"""What is found out of each source before its frames are read: clocks, track, ego mask, drive. Kept
in the table `sources`."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from segpipe.core.config.job import Job
from segpipe.core.errors import ConfigError
from segpipe.core.text import counted
from segpipe.core.types import SourceInfo
from segpipe.inference.measures.regions import Regions
from segpipe.pipeline.probe.streams import with_unread_streams
from segpipe.pipeline.probe.survey import facts_of
from segpipe.pipeline.probe.unchanged_clocks import with_late_hours
from segpipe.runtime import stopping
from segpipe.runtime.files.paths import AnyPath
from segpipe.sources import Footage, FoundSource, source_of
from segpipe.sources.table import file_sources
from segpipe.store.addresses import Addresses
from segpipe.store.sources import all_source_metadata, write_source_metadata
from segpipe.telemetry.candidates import check_files
from segpipe.telemetry.drives import with_drives
from segpipe.telemetry.metadata import SourceMetadata
from segpipe.telemetry.two_readings import settle_clips

Probed = dict[str, SourceMetadata]


def probe(job: Job, footage: Footage, root: AnyPath, before: Probed | None = None) -> Probed:
    """The facts of every source of the job, by source id, written to the dataset at `root` where
    they are new.

    What was found from the same files and settings before is taken from the dataset. A source of
    which nothing can be found out has facts that say so. `before` are the dataset's facts, where
    they were read already.
    """
    known = dict(before) if before is not None else known_metadata(root)
    found: Probed = {}
    for source in footage.sources:
        stopping.check()
        source_id = source.info.source_id
        facts = facts_of(source, job, known.get(source_id), _kin(source, known))
        found[source_id] = facts
        # At once: what a killed run found out needn't be found again
        if _differs(facts, known.get(source_id)):
            write_source_metadata(root, facts)
            known[source_id] = facts
    gone = {before.key for before in footage.replaced()}
    everything = {i: f for i, f in (known | found).items() if f.info.file_id not in gone}
    everything |= _settled_clips(everything, job.time.drive_gap_s, set(found))
    for source_id, facts in everything.items():
        stopping.check()
        if _differs(facts, known.get(source_id)):
            write_source_metadata(root, facts)
    return {source_id: f for source_id, f in everything.items() if source_id in found}


def _kin(source: FoundSource, known: Probed) -> SourceMetadata | None:
    """The facts of the source that what was given by hand is taken from: another stream of its
    file, or the file as it was before it grew."""
    number = source.info.stream
    same = [] if number is None else [f"v{number}-{key}" for key in source.replaced]
    kin = (source.kin_id, *same, *source.replaced)
    return next((known[i] for i in kin if i in known), None)


def _settled_clips(facts: Probed, gap_s: float, ids: set[str]) -> Probed:
    """The facts of films in files with what follows from the clips around them: the local hours of
    those with the `ids`, the place in a drive, and the streams of their files that aren't read."""
    clips = [f for f in facts.values() if _is_clip(f.info)]
    clips = settle_clips(clips, gap_s, ids)
    clips = with_late_hours(clips, gap_s, ids)
    clips = with_drives(with_unread_streams(clips), gap_s)
    return {f.info.source_id: f for f in clips}


def _is_clip(info: SourceInfo) -> bool:
    kind = source_of(info.kind)
    return kind.replayable and kind.in_sequence


def known_metadata(root: AnyPath, addresses: Addresses | None = None) -> Probed:
    """What the dataset says of all its sources, by source id; each where it was seen last."""
    found = {f.info.source_id: f for f in all_source_metadata(root)}
    if addresses is None:
        return found
    return {source_id: _at_latest(f, addresses) for source_id, f in found.items()}


def _at_latest(facts: SourceMetadata, addresses: Addresses) -> SourceMetadata:
    uri = addresses.latest(facts.info.file_id)
    return replace(facts, info=replace(facts.info, uri=uri)) if uri else facts


def check(job: Job, footage: Footage) -> None:
    """Raises SourceError or ConfigError for a named track file that can't be used, and ConfigError
    for an explicit start with more than one source and for regions that overlap in too many ways.
    """
    sources = footage.sources
    if job.time.start is not None and not (len(sources) == 1 and _is_clip(sources[0].info)):
        counts = Counter(found.info.kind for found in sources)
        said = [counted(counts[kind.kind], *kind.nouns) for kind in file_sources()]
        raise ConfigError(
            "time.start is the time of one video's beginning, and the inputs are "
            f"{' and '.join(said)}: run them one by one, or let clocks tell (time.order)"
        )
    check_files(job.track, job.time.timezone)
    Regions(job.regions, job.ignore_regions).for_size(540, 960)


def _differs(facts: SourceMetadata, old: SourceMetadata | None) -> bool:
    def run_wide(f: SourceMetadata) -> tuple[object, ...]:
        read = tuple(c.note for c in f.clocks)
        return (f.key, f.start_us, f.notes, read, f.drive_id, f.drive_index, f.gap_before_s)

    return old is None or run_wide(facts) != run_wide(old)
