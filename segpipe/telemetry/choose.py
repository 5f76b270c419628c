"""Which of the tracks that were found belong to the footage. A track that doesn't fit is named and
not used."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from segpipe.core.config.time_and_place import TrackName, TrackSettings
from segpipe.core.text import counted
from segpipe.telemetry.candidates import candidates
from segpipe.telemetry.clean import clean, geod
from segpipe.telemetry.interpolate import Positions, merged, positions
from segpipe.telemetry.photos import APART_M
from segpipe.telemetry.rollover import corrected_file
from segpipe.telemetry.track import NO_TIME, Float64, Int64, Track

COUNTED_NOT_DROPPED = "out of order"


@dataclass(frozen=True)
class Moments:
    """Moments of the footage, arrays [N]: `times_us` int64, UTC in microseconds, NO_TIME where
    unknown; `media_s` float64, seconds since the beginning of a video."""

    times_us: Int64
    media_s: Float64 | None = None

    def along(self, track: Track, max_gap_s: float) -> Positions:
        """The positions at these moments, joined as the rows will be: a track of the video itself
        by media time, others by UTC."""
        if self.media_s is not None and np.isfinite(track.media_s).all():
            return positions(track, max_gap_s=max_gap_s, media_s=self.media_s)
        return positions(track, max_gap_s=max_gap_s, times_us=self.times_us)


@dataclass(frozen=True)
class ChosenTrack:
    """The track that fits (None where none does), what has to be said of those that don't, and
    whether tracks were `refused` because they disagree."""

    track: Track | None
    notes: tuple[str, ...]
    refused: bool = False


def choose_track(
    files: dict[TrackName, list[Path]],
    own: Track | None,
    moments: Moments,
    settings: TrackSettings,
    timezone: str | None,
) -> ChosenTrack:
    """The tracks, in the settings' order, that have positions at the footage's moments, as one.

    `own` is the track embedded in a video, or made of a folder's EXIF positions. What the first
    track leaves open the next may fill. Where two tracks lie far apart, none is taken: a wrong
    position is worse than none. Files that can't be read are named in the notes; those of
    `settings.files` were checked before (`check_files`).
    """
    notes: list[str] = []
    chosen: Track | None = None
    for found in candidates(files, own, settings, timezone, notes):
        track, lost_weeks = (found, "") if found is own else corrected_file(found, moments.times_us)
        if lost_weeks:
            notes.append(lost_weeks)
        if real := dropped_text(track):
            notes.append(f"track {track.source}: {real}")
        here = moments.along(track, settings.max_gap_s)
        if not np.isfinite(here.latitude).any():
            notes.append(_elsewhere(track, moments))
            continue
        notes += [f"track {track.source}: {note}" for note in track.notes]
        if chosen is None:
            chosen = track
            continue
        apart = _apart_m(moments.along(chosen, settings.max_gap_s), here)
        if apart is not None and apart > APART_M:
            notes.append(_disagreement(chosen, track, apart))
            return ChosenTrack(None, tuple(notes), True)
        both = merged(chosen, track, settings.max_gap_s)
        if len(clean(both, settings.max_speed_mps, 0.0, settings.max_gap_s)) < len(both):
            notes.append(_jump(chosen, track))
        else:
            chosen = both
    return ChosenTrack(chosen, tuple(notes))


def _elsewhere(track: Track, moments: Moments) -> str:
    """The note on a track that has no position at the footage's moments."""
    return (
        f"track {track.source} isn't used: it has {_span(track.time_us)}, the footage "
        f"{_span(moments.times_us)}"
        + (", which is in a gap of the track" if _around(track, moments) else "")
    )


def _disagreement(chosen: Track, track: Track, apart_m: float) -> str:
    """The note on two tracks of the same time that lie far apart."""
    return (
        f"the tracks {chosen.source} and {track.source} are {apart_m / 1000:.1f} km "
        "apart, so neither is used: "
        f"name the kinds to believe with track.order, such as [{_kind(track)}]"
    )


def _jump(chosen: Track, track: Track) -> str:
    return (
        f"track {track.source} isn't used: nothing drives from {chosen.source} to it in that time"
    )


def dropped_text(track: Track) -> str:
    """What a track lost, and what was put in order, for people."""
    return ", ".join(
        f"{counted(count, 'fix', 'fixes')}: {reason}" for reason, count in track.dropped.items()
    )


def _apart_m(a: Positions, b: Positions) -> float | None:
    """The median distance in metres where both know a position; None where there is no such
    moment."""
    both = np.isfinite(a.latitude) & np.isfinite(b.latitude)
    if not both.any():
        return None
    return float(
        np.median(
            geod().inv(a.longitude[both], a.latitude[both], b.longitude[both], b.latitude[both])[2]
        )
    )


def cleaned(track: Track | None, settings: TrackSettings) -> Track | None:
    """A track out of the footage itself, cleaned; None where nothing is left. Its times aren't
    shifted: they are the footage's."""
    found = None if track is None else clean(track, settings.max_speed_mps, 0.0, settings.max_gap_s)
    return found if found is not None and len(found) else None


def _kind(track: Track) -> str:
    kind = track.source.partition(":")[0]
    return kind if kind in {"embedded", "exif"} else "files"


def _around(track: Track, moments: Moments) -> bool:
    known, fixes = (
        moments.times_us[moments.times_us != NO_TIME],
        track.time_us[track.time_us != NO_TIME],
    )
    return bool(
        len(known) and len(fixes) and fixes.min() <= known.max() and fixes.max() >= known.min()
    )


def _span(times_us: Int64) -> str:
    known = times_us[times_us != NO_TIME]
    if not len(known):
        return "no known time"
    first, last = (
        datetime.fromtimestamp(int(t) / 1e6, UTC).isoformat(timespec="seconds")
        for t in (known.min(), known.max())
    )
    return f"{first.replace('+00:00', 'Z')} to {last.replace('+00:00', 'Z')}"
