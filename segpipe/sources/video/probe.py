"""What is found out of a video."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from segpipe.core.config.job import Job, Sampling
from segpipe.core.config.time_and_place import TrackName
from segpipe.core.types import Frame, Shard, UInt8
from segpipe.core.video_streams import FileStreams
from segpipe.inference.measures.ego_mask import FRAMES, find_ego_mask
from segpipe.sources.base import FoundSource
from segpipe.sources.decoding import Decoding
from segpipe.sources.video.file import VideoFile
from segpipe.sources.video.tracks import OwnTrack, own_track, with_track
from segpipe.telemetry.choose import ChosenTrack
from segpipe.telemetry.chosen_clock import choose
from segpipe.telemetry.clock_notes import clock_notes, rate_notes
from segpipe.telemetry.clocks import video_clocks
from segpipe.telemetry.metadata import SourceMetadata
from segpipe.telemetry.time_map import Rate
from segpipe.telemetry.track import Float64


def probe_video(
    found: FoundSource,
    job: Job,
    files: dict[TrackName, list[Path]],
    old: SourceMetadata | None,
    tracks: bool = True,
) -> SourceMetadata:
    """The facts of a video, its default stream or the one with this number; `old` are those of an
    earlier run. Without `tracks`, only the earlier run's track is used. Raises SourceError where it
    can't be opened.

    A start and a track that were given by hand stay until others are given, for the nightly run
    over the folder doesn't name them.
    """
    path = found.path
    video = VideoFile.of(found, Sampling(), Decoding(max_pixels=job.read.max_pixels))
    index, times_s = video.index, video.index.times_s
    own = own_track(path, video, job) if tracks and "embedded" in job.track.order else OwnTrack()
    facts = _facts(path, video, times_s, own, job)
    facts, rate = _with_earlier(facts, own.rate, old, job, tracks)
    facts = _with_start(facts, rate, job)
    clock_said = clock_notes(facts.start_source, facts.clocks) if rate.known else ()
    chosen = ChosenTrack(None, ()) if old is None else ChosenTrack(old.track, (), old.refused)
    if tracks:
        facts, chosen = with_track(facts, times_s, files, own.track, old, path, job)
    ego, note = find_ego_mask(_spread(video)) if job.ego_mask == "auto" else (None, "")
    more = tuple(n for n in (index.note, *own.notes, note) if n)
    return replace(
        facts,
        track=chosen.track,
        ego=ego,
        notes=(*rate_notes(rate, facts), *clock_said, *facts.notes, *chosen.notes, *more),
        order=job.track.order,
        max_gap_s=job.track.max_gap_s,
        refused=chosen.refused,
        partial=index.transient,
        file=FileStreams(index.streams),
    )


def _facts(
    path: Path, video: VideoFile, times_s: Float64, own: OwnTrack, job: Job
) -> SourceMetadata:
    """What the file itself tells: how long it is, how its time runs, its clocks. `times_s` float64
    [N] are the times of its frames."""
    index = video.index
    duration_s = float(
        times_s[-1] - times_s[0] + (np.median(np.diff(times_s)) if len(times_s) > 1 else 0.0)
    )
    time_map = None if own.rate.map is None else own.rate.map.cut(0.0, duration_s)
    facts = SourceMetadata(video.info, "", index.start_s, duration_s, time_map=time_map)
    lasted_s = facts.lasted_s() or duration_s
    clocks = video_clocks(path, video.stamp.mtime_ns, index.tags, lasted_s, own.track, job.time)
    return replace(facts, clocks=clocks)


def _with_earlier(
    facts: SourceMetadata, rate: Rate, old: SourceMetadata | None, job: Job, tracks: bool
) -> tuple[SourceMetadata, Rate]:
    """The facts with what stays of an earlier run's: a start given by hand, and, where tracks
    aren't read, what the telemetry told."""
    if old is None:
        return facts, rate
    if not tracks:
        facts, rate = replace(facts, time_map=old.time_map), _earlier_rate(old)
    kept = {"start"} if job.time.start is None else set()
    more = tuple(c for c in old.clocks if c.source in kept | (set() if tracks else {"gps"}))
    return replace(facts, clocks=facts.clocks + more), rate


def _with_start(facts: SourceMetadata, rate: Rate, job: Job) -> SourceMetadata:
    """The facts with the start that their clocks give."""
    start_us, clock, offset_s = choose(facts.clocks, job.time)
    # Whatever the start is, the other frames' times aren't known
    if not rate.known and clock != "start":
        start_us, clock, offset_s = None, None, 0.0
    return replace(facts, start_us=start_us, start_source=clock, offset_s=offset_s)


def _earlier_rate(old: SourceMetadata) -> Rate:
    """Whether an earlier run knew how UTC runs against the film; its map is in its facts."""
    unknown = [c.note for c in old.clocks if c.source == "gps" and c.utc_us is None]
    return Rate(known=not unknown, notes=tuple(f"the telemetry's UTC {note}" for note in unknown))


def _spread(video: VideoFile) -> Iterator[UInt8]:
    """Frames spread over a video, key frames where there are enough of them, for those are cheap to
    reach."""
    keys = video.index.key_indices()
    among = keys if len(keys) >= FRAMES // 2 else np.arange(len(video.index.pts))
    places = among[np.unique(np.linspace(0, len(among) - 1, FRAMES).round().astype(int))]
    shard = Shard(
        "ego",
        video.info,
        len(places),
        (video.stamp,),
        0,
        len(video.index.pts),
        chosen=tuple(int(p) for p in places),
    )
    yield from (f.rgb for f in video.frames(shard) if isinstance(f, Frame))
