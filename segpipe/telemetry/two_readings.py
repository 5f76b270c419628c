"""Sources whose clock shows a local time that came twice or never: the track, then the clips
around it, say which is right."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from segpipe.telemetry.choose import Moments
from segpipe.telemetry.drives import by_stream, family, file_of
from segpipe.telemetry.local_hours import reading_text
from segpipe.telemetry.metadata import Clock, SourceMetadata
from segpipe.telemetry.neighbours import Choice, Span, settle
from segpipe.telemetry.track import Float64, Track

CLEAR = 0.5
"""The reading at which a track has positions for so many more of the frames is right."""
TRACK = "the track"
_NOTE = "local time "
FindTrack = Callable[[Moments], Track | None]


def unsettled(facts: SourceMetadata) -> Clock | None:
    """The clock that a video's start is from, where it has two readings still."""
    found = (c for c in facts.clocks if c.source == facts.start_source and c.utc_us is not None)
    return next((c for c in found if c.other_us is not None), None)


def moments_of(facts: SourceMetadata, times_s: Float64) -> Moments:
    """The moments of a video's frames, by both readings where its start has two; a modification
    time gives none."""
    trusted = facts if facts.start_source != "mtime" else replace(facts, start_us=None)
    times_us, media_s = trusted.times_us(times_s), times_s - (facts.media_start_s or 0.0)
    clock = unsettled(facts)
    if clock is None:
        return Moments(times_us, media_s)
    other = replace(facts, start_us=_start_us(facts, clock, True)).times_us(times_s)
    return Moments(np.concatenate((times_us, other)), np.concatenate((media_s, media_s)))


def settle_by_track(
    facts: SourceMetadata, times_s: Float64, find: FindTrack, max_gap_s: float
) -> SourceMetadata:
    """A video's facts, its start by the reading of its clock at which the track (`find`) has
    clearly more positions."""
    clock = unsettled(facts)
    if clock is None:
        return facts
    moments = moments_of(facts, times_s)
    track = find(moments)
    if track is None:
        return facts
    placed = np.isfinite(moments.along(track, max_gap_s).latitude).reshape(2, -1).mean(axis=1)
    if abs(placed[0] - placed[1]) < CLEAR:
        return facts
    choice = Choice(bool(placed[1] > placed[0]), True, TRACK)
    settled = settled_clock(clock, choice)
    clocks = tuple(settled if c is clock else c for c in facts.clocks)
    start_us = _start_us(facts, clock, choice.second)
    return replace(
        facts, clocks=clocks, start_us=start_us, notes=(*facts.notes, *notes_of(clock, choice))
    )


def settle_clips(facts: list[SourceMetadata], gap_s: float, ids: set[str]) -> list[SourceMetadata]:
    """The facts of clips, in the same order. The start of a clip with one of the `ids` whose
    clock has two readings is by the one that fits the clips of the same camera. It follows from
    the clocks alone, so that every run finds the same."""
    clips: dict[str, list[int]] = defaultdict(list)
    for i, f in sorted(enumerate(facts), key=lambda pair: by_stream(pair[1])):
        if f.start_us is not None and f.start_source != "mtime":
            clips[file_of(f)].append(i)
    families: dict[tuple[str, str], list[int]] = defaultdict(list)
    for streams in clips.values():  # of one file they have one time, and are no neighbours
        families[family(facts[streams[0]])].append(streams[0])
    found = list(facts)
    for places in families.values():
        if any(unsettled(facts[i]) for i in places):
            choices = settle([_span(facts[i]) for i in places], gap_s)
            for place, first in enumerate(places):
                for i in clips[file_of(facts[first])]:
                    if facts[i].info.source_id in ids:
                        found[i] = _with_choice(facts[i], choices.get(place))
    return found


def _with_choice(facts: SourceMetadata, choice: Choice | None) -> SourceMetadata:
    clock = unsettled(facts)
    if clock is None:
        return facts
    choice = choice or Choice(False, False, "")
    notes = tuple(n for n in facts.notes if not n.startswith(_NOTE)) + notes_of(clock, choice)
    noted = replace(clock, note=reading(clock, choice))
    clocks = tuple(noted if c is clock else c for c in facts.clocks)
    return replace(
        facts, start_us=_start_us(facts, clock, choice.second), clocks=clocks, notes=notes
    )


def _span(facts: SourceMetadata) -> Span:
    clock = unsettled(facts)
    name = next(
        (facts.info.uri.replace(c.raw, "", 1) for c in facts.clocks if c.source == "filename"),
        facts.info.uri,
    )
    # What never came has no neighbours: those after it may be wrong like it
    if clock is None or skipped(clock):
        return Span(name, facts.start_us or 0, None, facts.lasted_s() or 0.0)
    start_us, other_us = (_start_us(facts, clock, second) for second in (False, True))
    return Span(name, start_us, other_us, facts.lasted_s() or 0.0)


def _start_us(facts: SourceMetadata, clock: Clock, second: bool) -> int:
    first_us = clock.utc_us or 0
    chosen = clock.other_us if second and clock.other_us is not None else first_us
    return chosen + round(facts.offset_s * 1e6)


def skipped(clock: Clock) -> bool:
    """Whether the local time never came: the offset before the change gives the later time."""
    return clock.other_us is not None and clock.utc_us is not None and clock.other_us < clock.utc_us


def settled_clock(clock: Clock, choice: Choice) -> Clock:
    """The clock with the one reading that is known to be right."""
    utc_us = clock.other_us if choice.second else clock.utc_us
    return replace(clock, utc_us=utc_us, other_us=None, note=reading(clock, choice))


def reading(clock: Clock, choice: Choice) -> str:
    """Which reading of a local time was taken, and why."""
    if clock.utc_us is None or clock.other_us is None:
        return ""
    chosen_us = clock.other_us if choice.second else clock.utc_us
    said = reading_text(clock.utc_us, clock.other_us, chosen_us)
    return f"{said}, by {choice.why}" if choice.sure else f"{said}; nothing shows which is right"


def same_for_all(note: str) -> str | None:
    """What a note of `notes_of` says apart from the local time, so that those of many clips can be
    told as one; None for any other note."""
    return note.removeprefix(_NOTE).partition(": ")[2] if note.startswith(_NOTE) else None


def notes_of(clock: Clock, choice: Choice) -> tuple[str, ...]:
    """What has to be said to people: of a time that isn't sure, and of one that never came."""
    if skipped(clock):
        hint = (
            "the camera's clock wasn't changed, and its later times may be an hour off: see "
            "time.offset_s"
        )
    elif choice.sure:
        return ()
    else:
        hint = "give a track of the time, or the hour by time.offset_s"
    return (f"{_NOTE}{clock.raw}: {reading(clock, choice)}; {hint}",)
