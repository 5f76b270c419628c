"""Which of the tracks that were found belongs to the footage. A track that doesn't fit is named and not used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from segpipe.errors import SegpipeError
from segpipe.telemetry.clean import GEOD, clean
from segpipe.telemetry.interpolate import Positions, positions
from segpipe.telemetry.read import read_track, sidecars
from segpipe.telemetry.track import NO_TIME, Float64, Int64, Track
from segpipe.where import TrackName, TrackSettings

COMPARED_GAP_S = 60.0
APART_M = 200.0
"""Two tracks of the same moments whose median distance is larger can't both be right."""


@dataclass(frozen=True)
class Moments:
    """Moments of the footage, arrays [N]: `times_us` int64, UTC in microseconds, NO_TIME where unknown; `media_s` float64, seconds
    since the beginning of a video."""

    times_us: Int64
    media_s: Float64 | None = None

    def along(self, track: Track) -> Positions:
        """The positions at these moments, joined as the rows will be: a track of the video itself by media time, others by UTC."""
        if self.media_s is not None and np.isfinite(track.media_s).all():
            return positions(track, max_gap_s=COMPARED_GAP_S, media_s=self.media_s)
        return positions(track, max_gap_s=COMPARED_GAP_S, times_us=self.times_us)


@dataclass(frozen=True)
class ChosenTrack:
    """The track that fits (None where none does), and what has to be said of those that don't."""

    track: Track | None
    notes: tuple[str, ...]


def track_files(path: Path, settings: TrackSettings) -> dict[TrackName, list[Path]]:
    """The track files that a source may use, by their kind: those that the settings name, and those beside it."""
    found: dict[TrackName, list[Path]] = {}
    if "files" in settings.order:
        found["files"] = [Path(f).expanduser().resolve() for f in settings.files]
    if "sidecar" in settings.order:
        found["sidecar"] = [f for f in sidecars(path) if f not in found.get("files", [])]
    return found


def choose_track(
    files: dict[TrackName, list[Path]], own: Track | None, moments: Moments, settings: TrackSettings, timezone: str | None
) -> ChosenTrack:
    """The first track in the settings' order that has fixes at the footage's times.

    `own` is the track embedded in a video, or made of a folder's EXIF positions: it fits always. Where two tracks that fit lie far
    apart, none is taken: a wrong position is worse than none. Files that can't be read are named in the notes; those of
    `settings.files` were checked before (`check_files`).
    """
    notes: list[str] = []
    fitting: list[Track] = []
    for kind in settings.order:
        if kind in {"embedded", "exif"}:
            fitting += [own] if own is not None and (kind == "exif") == (own.source == "exif") else []
            continue
        for track in _read_all(files.get(kind, []), settings, timezone, notes):
            notes += [f"track {track.source}: {_dropped(track)}"] if track.dropped else []
            if _covers(track, moments.times_us):
                fitting.append(track)
            else:
                notes.append(
                    f"track {track.source} isn't used: it has {_span(track.time_us)}, the footage {_span(moments.times_us)}"
                )
    if not fitting:
        return ChosenTrack(None, tuple(notes))
    for other in fitting[1:]:
        apart = _apart_m(fitting[0], other, moments)
        if apart is not None and apart > APART_M:
            notes.append(
                f"the tracks {fitting[0].source} and {other.source} are {apart / 1000:.1f} km apart, so neither is used: "
                "name the right one with track.order, such as [embedded]"
            )
            return ChosenTrack(None, tuple(notes))
    return ChosenTrack(fitting[0], tuple(notes))


def check_files(settings: TrackSettings, timezone: str | None) -> None:
    """Read the files that the settings name. Raises SourceError or ConfigError for one that can't be used at all."""
    for name in settings.files:
        path = Path(name).expanduser().resolve()
        _read(path, _stamp(path), settings.model_dump_json(), timezone)


def _read_all(paths: list[Path], settings: TrackSettings, timezone: str | None, notes: list[str]) -> Iterator[Track]:
    for path in paths:
        try:
            yield _read(path, _stamp(path), settings.model_dump_json(), timezone)
        except SegpipeError as error:
            notes.append(f"track {path.name} isn't used: {error}")


@lru_cache(maxsize=32)
def _read(path: Path, _stamp: tuple[int, int], settings: str, timezone: str | None) -> Track:
    """One file is read once in a run, however many clips it covers."""
    return read_track(path, TrackSettings.model_validate_json(settings), timezone)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (-1, -1)
    return status.st_size, status.st_mtime_ns


def _apart_m(first: Track, second: Track, moments: Moments) -> float | None:
    """The median distance of two tracks in metres at the moments that both know; None where there are none."""
    a, b = moments.along(first), moments.along(second)
    both = np.isfinite(a.latitude) & np.isfinite(b.latitude)
    if not both.any():
        return None
    return float(np.median(GEOD.inv(a.longitude[both], a.latitude[both], b.longitude[both], b.latitude[both])[2]))


def cleaned(track: Track | None, settings: TrackSettings) -> Track | None:
    """A track out of the footage itself, cleaned; None where nothing is left. Its times aren't shifted: they are the footage's."""
    found = None if track is None else clean(track, settings.max_speed_mps, 0.0, settings.max_gap_s)
    return found if found is not None and len(found) else None


def _covers(track: Track, times_us: Int64) -> bool:
    known, fixes = times_us[times_us != NO_TIME], track.time_us[track.time_us != NO_TIME]
    return bool(len(known) and len(fixes) and fixes.min() <= known.max() and fixes.max() >= known.min())


def _dropped(track: Track) -> str:
    return ", ".join(f"{count} fixes {reason}" for reason, count in track.dropped.items())


def _span(times_us: Int64) -> str:
    known = times_us[times_us != NO_TIME]
    if not len(known):
        return "no known time"
    first, last = (datetime.fromtimestamp(int(t) / 1e6, UTC).isoformat(timespec="seconds") for t in (known.min(), known.max()))
    return f"{first.replace('+00:00', 'Z')} to {last.replace('+00:00', 'Z')}"
