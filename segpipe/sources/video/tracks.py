"""The track of a video: its own, one of the files beside it, an earlier run's, or the one place
that it names."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from segpipe.core.config.job import Job
from segpipe.core.config.time_and_place import TrackName
from segpipe.core.errors import SourceError
from segpipe.sources.video.file import VideoFile
from segpipe.sources.video.telemetry import embedded_location, embedded_track
from segpipe.telemetry.choose import ChosenTrack, Moments, choose_track, cleaned
from segpipe.telemetry.clocks import rough_times
from segpipe.telemetry.metadata import SourceMetadata
from segpipe.telemetry.rollover import corrected_track
from segpipe.telemetry.time_map import Rate
from segpipe.telemetry.track import LOCATION, Float64, Track
from segpipe.telemetry.two_readings import moments_of, settle_by_track


@dataclass(frozen=True)
class OwnTrack:
    """What a video's own telemetry tells: its track, cleaned, the rate of its UTC, and what has to
    be said of it."""

    track: Track | None = None
    rate: Rate = field(default_factory=Rate)
    notes: tuple[str, ...] = ()


def own_track(path: Path, video: VideoFile, job: Job) -> OwnTrack:
    """A video's own track, 1024 weeks later where its other clocks say that it lacks them."""
    try:
        found = embedded_track(path, video.index.start_s)
    except SourceError as error:
        return OwnTrack(notes=(str(error),))
    others = rough_times(path, video.stamp.mtime_ns, video.index.tags, job.time)
    track, lost_weeks = corrected_track(cleaned(found, job.track), others)
    return OwnTrack(track, Rate() if found is None else found.rate, (lost_weeks,))


def with_track(
    facts: SourceMetadata,
    times_s: Float64,
    files: dict[TrackName, list[Path]],
    own: Track | None,
    old: SourceMetadata | None,
    path: Path,
    job: Job,
) -> tuple[SourceMetadata, ChosenTrack]:
    """The track that fits the frames at `times_s`, float64 [N], and the facts with the start that
    it decides for, where two were possible."""

    def find(moments: Moments) -> ChosenTrack:
        chosen = choose_track(files, own, moments, job.track, job.time.timezone)
        return _or_earlier(chosen, moments, old, job)

    facts = settle_by_track(facts, times_s, lambda m: find(m).track, job.track.max_gap_s)
    return facts, _or_location(find(moments_of(facts, times_s)), path, job)


def _or_earlier(
    chosen: ChosenTrack, moments: Moments, old: SourceMetadata | None, job: Job
) -> ChosenTrack:
    """The earlier run's track file, where this run has none that fits: its fixes are in the
    dataset."""
    earlier = old.track if old is not None else None
    if (
        chosen.track is not None
        or chosen.refused
        or earlier is None
        or not {"files", "sidecar"} & set(job.track.order)
    ):
        return chosen
    fits = np.isfinite(moments.along(earlier, job.track.max_gap_s).latitude).any()
    if earlier.source.startswith("embedded") or not fits:
        return chosen
    return replace(
        chosen,
        track=earlier,
        notes=(*chosen.notes, f"track {earlier.source} is taken from an earlier run"),
    )


def _or_location(chosen: ChosenTrack, path: Path, job: Job) -> ChosenTrack:
    """The one place that the file names, where there is no track."""
    wanted = "embedded" in job.track.order and chosen.track is None and not chosen.refused
    place = embedded_location(path) if wanted else None
    if place is None:
        return chosen
    said = (
        f"all frames have the one position that the file names ({LOCATION}): it isn't known "
        "how the camera moved"
    )
    return replace(chosen, track=place, notes=(*chosen.notes, said))
