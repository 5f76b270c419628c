"""What is found out of a folder of images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from segpipe.core.config.job import Job
from segpipe.core.config.time_and_place import TrackName
from segpipe.core.text import counted, printable_text
from segpipe.core.types import FileStamp, Frame, UInt8
from segpipe.inference.measures.ego_mask import FRAMES, find_ego_mask
from segpipe.runtime.isolation import heartbeat
from segpipe.sources.base import FoundSource
from segpipe.sources.decoding import Decoding
from segpipe.sources.images.folder import ImageFolder
from segpipe.sources.images.local_photos import settle_photos
from segpipe.sources.shards import shards_of_files
from segpipe.telemetry.choose import Moments, choose_track, cleaned
from segpipe.telemetry.chosen_clock import choose_together
from segpipe.telemetry.clock_notes import clock_notes
from segpipe.telemetry.clocks import NO_FIX, image_clocks
from segpipe.telemetry.exif import read_exif
from segpipe.telemetry.metadata import Clock, Photo, SourceMetadata
from segpipe.telemetry.photos import exif_track, photo_times
from segpipe.telemetry.track import Track


def probe_folder(
    found: FoundSource,
    job: Job,
    files: dict[TrackName, list[Path]],
    old: SourceMetadata | None,
) -> SourceMetadata:
    """The facts of a folder: of the images of this job, and of those that the dataset has of it
    already (`old`).

    The track is chosen for all of them together, so that a job that names some of a folder's images
    doesn't change what is known of the others. The ego mask of the first run stays: later images
    must not be counted by another measure. A run whose survey failed found out nothing of any
    image, and is none.
    """
    old = old if old is not None and old.photos else None
    clocks, photos, unturned = _read(found.files, job)
    others = photos.keys() | set(found.replaced)
    kept = tuple(p for p in (old.photos if old is not None else ()) if p.key not in others)
    earlier = tuple(c for c in (old.clocks if old is not None else ()) if c.file not in others)
    everything = (*kept, *photos.values())
    all_clocks = earlier + clocks

    def find(moments: Moments) -> Track | None:
        return choose_track(files, None, moments, job.track, job.time.timezone).track

    everything, all_clocks, unsure = settle_photos(
        everything, all_clocks, find, job.time, job.track
    )
    own = cleaned(exif_track(everything), job.track) if "exif" in job.track.order else None
    chosen = choose_track(
        files, own, Moments(photo_times(everything)), job.track, job.time.timezone
    )
    ego, note = (old.ego, "") if old is not None else (None, "")
    if old is None and job.ego_mask == "auto":
        ego, note = find_ego_mask(_spread(found, Decoding(max_pixels=job.read.max_pixels)))
    return SourceMetadata(
        found.info,
        clocks=all_clocks,
        track=chosen.track,
        ego=ego,
        offset_s=job.time.offset_s,
        notes=(
            *chosen.notes,
            *_notes(everything, all_clocks),
            *unsure,
            *(n for n in (note, unturned) if n),
        ),
        photos=everything,
        order=job.track.order,
        max_gap_s=job.track.max_gap_s,
        refused=chosen.refused,
    )


def _read(
    images: tuple[FileStamp, ...], job: Job
) -> tuple[tuple[Clock, ...], dict[str, Photo], str]:
    """The clocks of images, what each says of itself, by key, and a note on those that aren't
    turned by their EXIF."""
    clocks: list[tuple[Clock, ...]] = []
    photos: list[Photo] = []
    unturned = 0
    for image in images:
        heartbeat()
        path = Path(image.uri)
        exif = read_exif(path)
        own = exif.position if exif is not None else None
        name = printable_text(path.name)
        photos.append(Photo(image.name, name, image.size_bytes, image.mtime_ns, own=own))
        own_clocks = image_clocks(path, image.mtime_ns, exif, job.time)
        clocks.append(tuple(replace(c, file=image.name) for c in own_clocks))
        unturned += exif is not None and exif.unturned
    chosen = choose_together(clocks, job.time)
    timed = (
        replace(p, time_us=us, time_source=c) for p, (us, c, _) in zip(photos, chosen, strict=True)
    )
    said = "as coded: an orientation that stands only in EXIF has no effect in HEIC"
    note = f"{unturned} of {counted(len(images), 'image')} read {said}" if unturned else ""
    return tuple(c for found in clocks for c in found), {p.key: p for p in timed}, note


def _notes(photos: tuple[Photo, ...], clocks: tuple[Clock, ...]) -> list[str]:
    """The notes on the images that have no clock worth the name or a corrected one, counted."""
    void = {c.file for c in clocks if c.note == NO_FIX} & {p.key for p in photos}
    notes = (
        [
            f"{len(void)} of {counted(len(photos), 'image')}: {NO_FIX} (GPSStatus V), so its "
            "position isn't used"
        ]
        if void
        else []
    )
    for chosen in ("mtime", None):
        poor = {p.key for p in photos if p.time_source == chosen}
        if poor:
            said = clock_notes(chosen, tuple(c for c in clocks if c.file in poor))[0]
            notes.append(f"{len(poor)} of {counted(len(photos), 'image')}: {said}")
    corrected = [c for c in clocks if c.source == "gps" and c.note and c.utc_us is not None]
    if corrected:
        notes.append(f"{len(corrected)} of {counted(len(photos), 'image')}: {corrected[0].note}")
    return notes


def _spread(found: FoundSource, decoding: Decoding) -> Iterator[UInt8]:
    """Pictures that are spread evenly over the images."""
    places = np.linspace(0, len(found.files) - 1, FRAMES).round().astype(int)
    files = tuple(found.files[i] for i in np.unique(places))
    (shard,) = shards_of_files(found.info, files, len(files))
    images = ImageFolder(found.info, files, decoding=decoding)
    yield from (f.rgb for f in images.frames(shard) if isinstance(f, Frame))
