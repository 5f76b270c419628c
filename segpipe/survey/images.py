"""What is found out of a folder of images."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from segpipe.config import Job
from segpipe.ego import FRAMES, find_ego_mask
from segpipe.frames import Frame, UInt8
from segpipe.isolation import alive
from segpipe.sources import ImageFolder
from segpipe.sources.decoding import Decoding
from segpipe.sources.identity import source_info, stamp
from segpipe.sources.images import image_shards
from segpipe.survey.notes import clock_notes
from segpipe.telemetry.choose import Moments, choose_track, cleaned
from segpipe.telemetry.clocks import choose, image_clocks
from segpipe.telemetry.exif import read_exif
from segpipe.telemetry.facts import Clock, Photo, SourceFacts
from segpipe.telemetry.photos import exif_track, photo_times
from segpipe.text import printable_text
from segpipe.where import TrackName


def survey_folder(
    folder: Path, images: tuple[Path, ...], job: Job, files: dict[TrackName, list[Path]], old: SourceFacts | None
) -> SourceFacts:
    """The facts of a folder: of the images of this job, and of those that the dataset has of it already (`old`).

    The track is chosen for all of them together, so that a job that names some of a folder's images doesn't change what is
    known of the others. The ego mask of the first run stays: later images must not be counted by another measure. A run whose
    survey failed found out nothing of any image, and is none.
    """
    old = old if old is not None and old.photos else None
    clocks, photos = _read(images, job)
    kept = tuple(p for p in (old.photos if old is not None else ()) if p.name not in photos)
    earlier = tuple(c for c in (old.clocks if old is not None else ()) if c.file not in photos)
    everything = (*kept, *photos.values())
    own = cleaned(exif_track(everything), job.track) if "exif" in job.track.order else None
    chosen = choose_track(files, own, Moments(photo_times(everything)), job.track, job.time.timezone)
    ego, note = (old.ego, "") if old is not None else (None, "")
    if old is None and job.ego_mask == "auto":
        ego, note = find_ego_mask(_spread(folder, images, Decoding(max_pixels=job.read.max_pixels)))
    return SourceFacts(
        source_info(folder, "images"), clocks=earlier + clocks, track=chosen.track, ego=ego, offset_s=job.time.offset_s,
        notes=(*chosen.notes, *_notes(everything, earlier + clocks), *((note,) if note else ())), photos=everything,
        order=job.track.order, max_gap_s=job.track.max_gap_s, refused=chosen.refused,
    )  # fmt: skip


def _read(images: tuple[Path, ...], job: Job) -> tuple[tuple[Clock, ...], dict[str, Photo]]:
    """The clocks of images, and what each says of itself, by name."""
    clocks: list[Clock] = []
    photos = {}
    for path in images:
        alive()
        exif, now, name = read_exif(path), stamp(path), printable_text(path.name)
        found = image_clocks(path, now.mtime_ns, exif, job.time)
        time_us, clock, _ = choose(found, job.time)
        photos[name] = Photo(name, now.size_bytes, now.mtime_ns, time_us, clock, exif.position if exif is not None else None)
        clocks += found
    return tuple(clocks), photos


def _notes(photos: tuple[Photo, ...], clocks: tuple[Clock, ...]) -> list[str]:
    """The notes on the images that have no clock worth the name, counted."""
    notes = []
    for chosen in ("mtime", None):
        poor = {p.name for p in photos if p.time_source == chosen}
        if poor:
            said = clock_notes(chosen, tuple(c for c in clocks if c.file in poor))[0]
            notes.append(f"{len(poor)} of {len(photos)} images: {said}")
    return notes


def _spread(folder: Path, images: tuple[Path, ...], decoding: Decoding) -> Iterator[UInt8]:
    files = [images[i] for i in np.unique(np.linspace(0, len(images) - 1, FRAMES).round().astype(int))]
    shards = image_shards(source_info(folder, "images"), tuple(stamp(f) for f in files), len(files))
    yield from (f.rgb for f in ImageFolder.at(folder, files, decoding=decoding).frames(shards[0]) if isinstance(f, Frame))
