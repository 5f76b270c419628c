"""What is found out of a video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from segpipe.config import Job, Sampling
from segpipe.ego import FRAMES, find_ego_mask
from segpipe.errors import SourceError
from segpipe.frames import Frame, Shard, UInt8
from segpipe.sources import VideoFile
from segpipe.sources.decoding import Decoding
from segpipe.survey.notes import clock_notes
from segpipe.telemetry.choose import ChosenTrack, Moments, choose_track, cleaned
from segpipe.telemetry.clocks import choose, video_clocks
from segpipe.telemetry.embedded import embedded_track
from segpipe.telemetry.facts import Clock, SourceFacts
from segpipe.telemetry.track import NO_TIME, Track
from segpipe.where import TrackName


def survey_video(
    path: Path, job: Job, files: dict[TrackName, list[Path]], old: SourceFacts | None, tracks: bool = True
) -> SourceFacts:
    """The facts of a video; `old` are those of an earlier run. Without `tracks`, only the earlier run's track is used.
    Raises SourceError where it can't be opened.

    A start and a track that were given by hand stay until others are given, for the nightly run over the folder doesn't name
    them; but not for another recording under the same name.
    """
    video = VideoFile.at(path, Sampling(), Decoding(max_pixels=job.read.max_pixels))
    index = video.index
    times_s = index.times_s
    duration_s = float(times_s[-1] - times_s[0] + (np.median(np.diff(times_s)) if len(times_s) > 1 else 0.0))
    own, slow = _own_track(path, index.start_s, job) if tracks and "embedded" in job.track.order else (None, "")
    clocks = video_clocks(path, video.stamp.mtime_ns, index.creation_time, duration_s, own, job.time)
    if old is not None and not _same_file(old.clocks, clocks):
        old = None
    if old is not None:
        kept = {"start"} if job.time.start is None else set()
        clocks += tuple(c for c in old.clocks if c.source in kept | (set() if tracks else {"gps"}))
    start_us, clock, offset_s = choose(clocks, job.time)
    times_us = np.full(len(times_s), NO_TIME, np.int64)
    if start_us is not None and clock != "mtime":
        times_us = start_us + np.round((times_s - index.start_s) * 1e6).astype(np.int64)
    moments = Moments(times_us, times_s - index.start_s)
    if tracks:
        chosen = _or_earlier(choose_track(files, own, moments, job.track, job.time.timezone), moments, old, job)
    else:
        chosen = ChosenTrack(None, ()) if old is None else ChosenTrack(old.track, (), old.refused)
    ego, note = find_ego_mask(_spread(video)) if job.ego_mask == "auto" else (None, "")
    return SourceFacts(
        video.info, "", index.start_s, duration_s, start_us, clock, offset_s, clocks, chosen.track, ego,
        notes=(*clock_notes(clock, clocks), *chosen.notes, *(n for n in (slow, note) if n)), order=job.track.order,
        max_gap_s=job.track.max_gap_s, refused=chosen.refused, partial=index.transient,
    )  # fmt: skip


def _own_track(path: Path, start_s: float, job: Job) -> tuple[Track | None, str]:
    """The video's own track, cleaned, and what has to be said of it."""
    try:
        return cleaned(embedded_track(path, start_s), job.track), ""
    except SourceError as error:
        return None, str(error)


def _same_file(then: tuple[Clock, ...], now: tuple[Clock, ...]) -> bool:
    """Whether the file's own clocks still say what they said: cameras that run full write over their oldest clips."""
    said = [{(c.source, c.raw) for c in clocks if c.source in {"mtime", "container"}} for clocks in (then, now)]
    return said[0] == said[1]


def _or_earlier(chosen: ChosenTrack, moments: Moments, old: SourceFacts | None, job: Job) -> ChosenTrack:
    """The earlier run's track file, where this run has none that fits: its fixes are in the dataset."""
    earlier = old.track if old is not None else None
    if chosen.track is not None or chosen.refused or earlier is None or not {"files", "sidecar"} & set(job.track.order):
        return chosen
    fits = np.isfinite(moments.along(earlier, job.track.max_gap_s).latitude).any()
    if earlier.source.startswith("embedded") or not fits:
        return chosen
    return replace(chosen, track=earlier, notes=(*chosen.notes, f"track {earlier.source} is taken from an earlier run"))


def _spread(video: VideoFile) -> Iterator[UInt8]:
    """Frames spread over a video, key frames where there are enough of them, for those are cheap to reach."""
    keys = video.index.key_indices()
    among = keys if len(keys) >= FRAMES // 2 else np.arange(len(video.index.pts))
    places = among[np.unique(np.linspace(0, len(among) - 1, FRAMES).round().astype(int))]
    shard = Shard("ego", video.info, len(places), (video.stamp,), 0, len(video.index.pts), chosen=tuple(int(p) for p in places))
    yield from (f.rgb for f in video.frames(shard) if isinstance(f, Frame))
