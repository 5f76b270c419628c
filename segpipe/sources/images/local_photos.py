"""Images whose clock shows a local time that came twice or never: the track, then the images
around, say which is right."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from segpipe.core.config.time_and_place import TimeSettings, TrackSettings
from segpipe.core.text import counted
from segpipe.telemetry.choose import Moments
from segpipe.telemetry.metadata import Clock, Photo
from segpipe.telemetry.neighbours import Choice, Span, settle
from segpipe.telemetry.photos import photo_times
from segpipe.telemetry.track import NO_TIME, Int64
from segpipe.telemetry.two_readings import TRACK, FindTrack, notes_of, reading, settled_clock

Settled = tuple[tuple[Photo, ...], tuple[Clock, ...], list[str]]


def settle_photos(
    photos: tuple[Photo, ...],
    clocks: tuple[Clock, ...],
    find: FindTrack,
    time: TimeSettings,
    track: TrackSettings,
) -> Settled:
    """The images of a folder, their times by the reading that is right, their clocks, and notes on
    times that aren't sure."""
    two = {(c.file, c.source): c for c in clocks if c.utc_us is not None and c.other_us is not None}
    open_ = {
        i: two[p.key, p.time_source]
        for i, p in enumerate(photos)
        if p.time_source and (p.key, p.time_source) in two
    }
    if not open_:
        return photos, clocks, []
    shift_us = round(time.offset_s * 1e6)
    times = np.array(
        [[(us or 0) + shift_us for us in (c.utc_us, c.other_us)] for c in open_.values()], np.int64
    )
    shown = _by_track(times, find, track.max_gap_s)
    choices = {
        i: Choice(bool(s), True, TRACK) for i, s in zip(open_, shown, strict=True) if s is not None
    }
    readings = {i: (int(row[0]), int(row[1])) for i, row in zip(open_, times, strict=True)}
    choices = _by_neighbours(photos, clocks, readings, choices, time.drive_gap_s) | choices
    return _with_choices(photos, clocks, open_, choices, readings)


def _by_track(times: Int64, find: FindTrack, max_gap_s: float) -> list[bool | None]:
    """For each row of two times whether the track has a position at the second only; None where it
    has both or none."""
    moments = Moments(times.T.reshape(-1))
    track = find(moments)
    if track is None:
        return [None] * len(times)
    placed = np.isfinite(moments.along(track, max_gap_s).latitude).reshape(2, -1)
    return [None if first == second else bool(second) for first, second in placed.T]


def _by_neighbours(
    photos: tuple[Photo, ...],
    clocks: tuple[Clock, ...],
    readings: dict[int, tuple[int, int]],
    choices: dict[int, Choice],
    gap_s: float,
) -> dict[int, Choice]:
    named = {c.file: c.raw for c in clocks if c.source == "filename"}
    times = photo_times(photos).tolist()
    places = [i for i, t in enumerate(times) if t != NO_TIME]
    spans = []
    for i in places:
        first, second = readings.get(i, (times[i], times[i]))
        if i in choices:
            first = second = (first, second)[choices[i].second]
        name = photos[i].name.replace(named.get(photos[i].key, "\0"), "", 1)
        spans.append(Span(name, first, second if second > first else None))
    return {places[k]: c for k, c in settle(spans, gap_s).items()}


def _with_choices(
    photos: tuple[Photo, ...],
    clocks: tuple[Clock, ...],
    open_: dict[int, Clock],
    choices: dict[int, Choice],
    readings: dict[int, tuple[int, int]],
) -> Settled:
    found, noted = list(photos), {}
    notes: list[str] = []
    for i, clock in open_.items():
        choice = choices.get(i, Choice(False, False, ""))
        found[i] = replace(photos[i], time_us=readings[i][choice.second])
        by_track = choice.why == TRACK
        noted[id(clock)] = (
            settled_clock(clock, choice)
            if by_track
            else replace(clock, note=reading(clock, choice))
        )
        notes += notes_of(clock, choice)
    said = [f"{len(notes)} of {counted(len(photos), 'image')}: {notes[0]}"] if notes else []
    return tuple(found), tuple(noted.get(id(c), c) for c in clocks), said
