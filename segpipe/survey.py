"""What is found out of each source before its frames are read: clocks, track, ego mask, drive. Kept in the table `sources`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import astuple
from pathlib import Path

import numpy as np

from segpipe.config import Job, Sampling
from segpipe.ego import FRAMES, find_ego_mask
from segpipe.errors import ConfigError, SourceError
from segpipe.frames import FileStamp, Frame, Shard, UInt8
from segpipe.sources import Footage, ImageFolder, VideoFile
from segpipe.sources.identity import source_info, stamp
from segpipe.sources.images import image_shards
from segpipe.store.sources import all_facts, write_facts
from segpipe.telemetry.choose import Moments, check_files, choose_track, cleaned, track_files
from segpipe.telemetry.clocks import choose, image_clocks, video_clocks
from segpipe.telemetry.drives import with_drives
from segpipe.telemetry.embedded import embedded_track
from segpipe.telemetry.exif import ExifFacts, read_exif
from segpipe.telemetry.facts import Clock, SourceFacts
from segpipe.telemetry.track import NO_TIME, Float64, Int64, Track
from segpipe.where import TrackName

VERSION = 1
"""Another version of this code finds other facts: they are then found again."""
Survey = dict[str, SourceFacts]


def survey(job: Job, footage: Footage, root: Path) -> Survey:
    """The facts of every source of the job, by source id, written to the dataset at `root` where they are new. What was found from
    the same files and settings before is taken from the dataset."""
    known = {f.info.source_id: f for f in all_facts(root)}
    found: Survey = {}
    for path in footage.videos:
        info = source_info(path, "video")
        files = track_files(path, job.track)
        key = _key(job, (stamp(path),), files)
        old = known.get(info.source_id)
        found[info.source_id] = old if old is not None and old.key == key else _video(path, job, key, files, old)
    for folder, images in footage.images.items():
        info = source_info(folder, "images")
        files = track_files(folder, job.track)
        old = known.get(info.source_id)
        key = _key(job, tuple(stamp(i) for i in images), files)
        found[info.source_id] = old if old is not None and old.key == key else _folder(folder, images, job, key, files, old)
    everything = with_drives(list((known | found).values()), job.time.drive_gap_s)
    for facts in everything:
        if _differs(facts, known.get(facts.info.source_id)):
            write_facts(root, facts, job.track.max_gap_s)
    return {f.info.source_id: f for f in everything if f.info.source_id in found}


def check(job: Job, footage: Footage) -> None:
    """Raises SourceError or ConfigError for a named track file that can't be used, and ConfigError for an explicit start with more
    than one source."""
    if job.time.start is not None and (len(footage.videos) != 1 or footage.images):
        raise ConfigError(
            f"time.start is the time of one video's first frame, and the inputs are {len(footage.videos)} videos and "
            f"{len(footage.images)} folders of images: run them one by one, or let clocks tell (time.order)"
        )
    check_files(job.track, job.time.timezone)


def _differs(facts: SourceFacts, old: SourceFacts | None) -> bool:
    drive = (facts.key, facts.drive_id, facts.drive_index, facts.gap_before_s)
    return old is None or drive != (old.key, old.drive_id, old.drive_index, old.gap_before_s)


def _key(job: Job, stamps: tuple[FileStamp, ...], files: dict[TrackName, list[Path]]) -> str:
    """A digest of all that the facts follow from."""
    tracks = [[kind, [[str(p), *astuple(stamp(p))] for p in paths]] for kind, paths in files.items()]
    content = [VERSION, [astuple(s) for s in stamps], tracks, job.time.model_dump_json(), job.track.model_dump_json(), job.ego_mask]
    return hashlib.blake2b(json.dumps(content).encode("utf-8", "surrogateescape"), digest_size=12).hexdigest()


def _video(path: Path, job: Job, key: str, files: dict[TrackName, list[Path]], old: SourceFacts | None) -> SourceFacts:
    info = source_info(path, "video")
    try:
        video = VideoFile.at(path, Sampling())
    except SourceError as error:
        # What was known stays: a drive or a network that is away for a moment must not cost the rows their times.
        return old if old is not None else SourceFacts(info, key, notes=(str(error),))
    index = video.index
    times_s = index.times_s
    duration_s = float(times_s[-1] - times_s[0] + (np.median(np.diff(times_s)) if len(times_s) > 1 else 0.0))
    own = cleaned(embedded_track(path, index.start_s), job.track)
    clocks = video_clocks(path, video.stamp.mtime_ns, index.creation_time, duration_s, own, job.time)
    start_us, clock, offset_s = choose(clocks, job.time)
    times_us = np.full(len(times_s), NO_TIME, np.int64)
    if start_us is not None and clock != "mtime":
        times_us = start_us + np.round((times_s - index.start_s) * 1e6).astype(np.int64)
    moments = Moments(times_us, times_s - index.start_s)
    chosen = choose_track(files, own if "embedded" in job.track.order else None, moments, job.track, job.time.timezone)
    ego, note = find_ego_mask(_spread(video)) if job.ego_mask == "auto" else (None, "")
    return SourceFacts(
        info, key, index.start_s, duration_s, start_us, clock, offset_s, clocks, chosen.track, ego,
        notes=(*_clock_notes(clock, clocks), *chosen.notes, *((note,) if note else ())),
    )  # fmt: skip


def _clock_notes(chosen: str | None, clocks: tuple[Clock, ...]) -> list[str]:
    """What has to be said where the time is worth little: what else there was, and why it wasn't used."""
    if chosen not in {None, "mtime"}:
        return []
    unused = ", ".join(sorted({f"{c.source} ({c.note})" for c in clocks if c.note}))
    said = "no clock was found" if chosen is None else "the time is the file's modification time, which a copy may have changed"
    return [said + (f"; not used: {unused}" if unused else "") + "; time.start or time.timezone can help"]


def _spread(video: VideoFile) -> Iterator[UInt8]:
    """Frames spread over a video, key frames where there are enough of them, for those are cheap to reach."""
    keys = video.index.key_indices()
    among = keys if len(keys) >= FRAMES // 2 else np.arange(len(video.index.pts))
    places = among[np.unique(np.linspace(0, len(among) - 1, FRAMES).round().astype(int))]
    shard = Shard("ego", video.info, len(places), (video.stamp,), 0, len(video.index.pts), chosen=tuple(int(p) for p in places))
    yield from (f.rgb for f in video.frames(shard) if isinstance(f, Frame))


def _folder(
    folder: Path, images: tuple[Path, ...], job: Job, key: str, files: dict[TrackName, list[Path]], old: SourceFacts | None
) -> SourceFacts:
    info = source_info(folder, "images")
    exif = {path.name: read_exif(path) for path in images}
    clocks = {p.name: image_clocks(p, stamp(p).mtime_ns, exif[p.name], job.time) for p in images}
    moments = {name: choose(found, job.time) for name, found in clocks.items()}
    times_us = np.array([NO_TIME if t is None or c == "mtime" else t for t, c, _ in moments.values()], np.int64)
    own = cleaned(_exif_track(exif, times_us), job.track) if "exif" in job.track.order else None
    chosen = choose_track(files, own, Moments(times_us), job.track, job.time.timezone)
    ego, note = old.ego if old is not None else None, ""
    if ego is None and job.ego_mask == "auto":
        ego, note = find_ego_mask(_spread_images(folder, images))
    settings = json.dumps([job.time.model_dump(mode="json"), job.track.order])
    before = tuple(c for c in (old.clocks if old is not None else ()) if c.file not in clocks)
    return SourceFacts(
        info, key, clocks=before + tuple(c for found in clocks.values() for c in found), track=chosen.track, ego=ego,
        offset_s=job.time.offset_s, notes=(*chosen.notes, *_image_notes(moments, exif, clocks), *((note,) if note else ())),
        image_settings=settings,
    )  # fmt: skip


def _image_notes(
    moments: dict[str, tuple[int | None, str | None, float]],
    exif: dict[str, ExifFacts | None],
    clocks: dict[str, tuple[Clock, ...]],
) -> list[str]:
    """The note of the images that have no clock worth the name, counted."""
    poor = [name for name, (_, clock, _) in moments.items() if clock in {None, "mtime"}]
    if not poor:
        return []
    said = _clock_notes("mtime", tuple(c for name in poor for c in clocks[name]))[0]
    return [f"{len(poor)} of {len(exif)} images: {said}"]


def _exif_track(exif: dict[str, ExifFacts | None], times_us: Int64) -> Track | None:
    """The images' own positions as a track, for the way between them; those without a time have no place in it."""
    pairs = zip(exif.values(), times_us.tolist(), strict=True)
    fixes = [(e.position, time) for e, time in pairs if e is not None and e.position is not None and time != NO_TIME]
    if not fixes:
        return None

    def column(name: str) -> Float64:
        values = [getattr(position, name) for position, _ in fixes]
        return np.array([np.nan if v is None else v for v in values], np.float64)

    times = np.array([t for _, t in fixes], np.int64)
    return Track(
        "exif", times, np.full(len(fixes), np.nan), column("latitude"), column("longitude"), column("altitude_m"),
        column("speed_mps"), column("heading_deg"), column("accuracy_m"),
    )  # fmt: skip


def _spread_images(folder: Path, images: tuple[Path, ...]) -> Iterator[UInt8]:
    files = [images[i] for i in np.unique(np.linspace(0, len(images) - 1, FRAMES).round().astype(int))]
    shards = image_shards(source_info(folder, "images"), tuple(stamp(f) for f in files), len(files))
    yield from (f.rgb for f in ImageFolder.at(folder, files).frames(shards[0]) if isinstance(f, Frame))
