"""Where the images of a folder were taken: by their own EXIF, or by the folder's track."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from segpipe.core.types import Position
from segpipe.telemetry.clean import geod
from segpipe.telemetry.interpolate import positions
from segpipe.telemetry.metadata import Photo, SourceMetadata
from segpipe.telemetry.track import NO_TIME, Float64, Int64, Track

EXIF = "exif"
APART_M = 200.0
"""Two positions of the same moment that are further apart can't both be right."""


@dataclass(frozen=True, slots=True)
class Place:
    """When and where a frame was taken; `time_us` is UTC in microseconds since 1970 from the clock
    `time_source`."""

    time_us: int | None = None
    time_source: str | None = None
    position: Position | None = None


def photo_times(photos: tuple[Photo, ...]) -> Int64:
    """The images' times for joining a track, int64 [N]; NO_TIME where there is none but a
    modification time."""
    trusted = [
        NO_TIME if p.time_us is None or p.time_source == "mtime" else p.time_us for p in photos
    ]
    return np.array(trusted, np.int64)


def exif_track(photos: tuple[Photo, ...]) -> Track | None:
    """The images' own positions as a track (not cleaned); those without a time have no place in
    it."""
    fixes = [
        (p.own, t)
        for p, t in zip(photos, photo_times(photos).tolist(), strict=True)
        if p.own is not None and t != NO_TIME
    ]
    if not fixes:
        return None

    def column(name: str) -> Float64:
        values = [getattr(position, name) for position, _ in fixes]
        return np.array([np.nan if v is None else v for v in values], np.float64)

    times = np.array([t for _, t in fixes], np.int64)
    return Track(
        EXIF,
        times,
        np.full(len(fixes), np.nan),
        column("latitude"),
        column("longitude"),
        column("altitude_m"),
        column("speed_mps"),
        column("heading_deg"),
        column("accuracy_m"),
    )


def place_photos(facts: SourceMetadata) -> dict[str, Place]:
    """The place of each image of a folder, by its content's key."""
    times = photo_times(facts.photos)
    track = None if facts.refused else facts.track
    found = None if track is None else positions(track, max_gap_s=facts.max_gap_s, times_us=times)
    kept = set() if track is None else set(track.time_us.tolist())
    places = {}
    for i, photo in enumerate(facts.photos):
        along = None if found is None else found.position_at(i)
        position = None if facts.refused else _position(photo, along, int(times[i]) in kept, facts)
        places[photo.key] = Place(photo.time_us, photo.time_source, position)
    return places


def _position(
    photo: Photo, along: Position | None, kept: bool, facts: SourceMetadata
) -> Position | None:
    """The image's own position, or the track's where that is worth more.

    `kept`: whether a fix of the image's moment is still in the cleaned track. If it isn't, the
    image's own was dropped as wild.
    """
    own = photo.own if EXIF in facts.order else None
    if own is None:
        return along
    if along is None:
        # Without a time nothing speaks against it; with one, it was a part of the track and must
        # still be.
        timed = photo.time_us is not None and photo.time_source != "mtime"
        return (
            own
            if not timed or kept or facts.track is None or EXIF not in facts.track.source
            else None
        )
    if facts.track is not None and facts.track.source.split(", ")[0] != EXIF:
        return along
    apart = geod().inv(own.longitude, own.latitude, along.longitude, along.latitude)[2]
    if not kept and apart > APART_M:
        return along
    speed = own.speed_mps if own.speed_mps is not None else along.speed_mps
    heading = own.heading_deg if own.heading_deg is not None else along.heading_deg
    return replace(own, odometer_m=along.odometer_m, speed_mps=speed, heading_deg=heading)
