"""Cameras whose clock nobody put back in autumn: a note on the first clip after the hour that came
twice."""

from __future__ import annotations

import itertools
from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from segpipe.telemetry.drives import family
from segpipe.telemetry.local_hours import first_of_two
from segpipe.telemetry.metadata import SourceMetadata

_HOUR_S, _OVERLAP_S = 3600.0, 5.0
_NOTE = "the camera's clock may not have been put back: "


def with_late_hours(
    facts: list[SourceMetadata], gap_s: float, ids: set[str]
) -> list[SourceMetadata]:
    """The facts of clips, in the same order, their local hours settled. Of the clips with the
    `ids` those have a note that follow, by local time, at once on a clip of the first of two hours,
    and so begin an hour later than it ended."""
    families: dict[tuple[str, str], list[SourceMetadata]] = defaultdict(list)
    for f in facts:
        if f.start_us is not None and f.start_source != "mtime":
            families[family(f)].append(f)
    late: dict[str, str] = {}
    for clips in families.values():
        late |= _late(clips, max(gap_s, 1.0))
    return [
        _noted(f, late.get(f.info.source_id, "")) if f.info.source_id in ids else f for f in facts
    ]


def _late(clips: list[SourceMetadata], gap_s: float) -> dict[str, str]:
    """The notes on clips of one camera, by source id."""
    found: dict[str, str] = {}
    if not any(_in_first_hour(c) for c in clips):
        return found
    before: SourceMetadata | None = None  # the one that ended last, of those that began before
    clips = sorted(clips, key=lambda f: f.start_us or 0)
    for start_us, group in itertools.groupby(clips, key=lambda f: f.start_us or 0):
        at_once = list(group)  # the streams of one file
        if before is not None and _in_first_hour(before):
            apart_s = (start_us - _end_us(before)) / 1e6 - _HOUR_S
            if -_OVERLAP_S <= apart_s <= gap_s:
                found |= {
                    c.info.source_id: _text(before)
                    for c in at_once
                    if c.start_source == before.start_source
                }
        before = max(([before] if before is not None else []) + at_once, key=_end_us)
    return found


def _in_first_hour(facts: SourceMetadata) -> bool:
    return any(c.source == facts.start_source and first_of_two(c.note) for c in facts.clocks)


def _end_us(facts: SourceMetadata) -> float:
    return (facts.start_us or 0) + (facts.lasted_s() or 0.0) * 1e6


def _text(before: SourceMetadata) -> str:
    return (
        f"{_NOTE}by local time this clip follows {Path(before.info.uri).name} at once, in UTC an "
        "hour later; "
        "if so, this time and the later ones are an hour late: run those clips with "
        "time.offset_s -3600"
    )


def _noted(facts: SourceMetadata, note: str) -> SourceMetadata:
    notes = tuple(n for n in facts.notes if not n.startswith(_NOTE)) + ((note,) if note else ())
    return facts if notes == facts.notes else replace(facts, notes=notes)
