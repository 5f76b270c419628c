"""Which of the tracks that were found belong to the footage. A track that doesn't fit is named and not used."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from segpipe import stopping
from segpipe.errors import ConfigError, SegpipeError, one_line
from segpipe.telemetry.clean import GEOD, clean
from segpipe.telemetry.interpolate import Positions, merged, positions
from segpipe.telemetry.photos import APART_M
from segpipe.telemetry.read import read_track, sidecars
from segpipe.telemetry.track import NO_TIME, Float64, Int64, Track
from segpipe.where import TrackName, TrackSettings

COUNTED_NOT_DROPPED = "out of order"


@dataclass(frozen=True)
class Moments:
    """Moments of the footage, arrays [N]: `times_us` int64, UTC in microseconds, NO_TIME where unknown; `media_s` float64, seconds
    since the beginning of a video."""

    times_us: Int64
    media_s: Float64 | None = None

    def along(self, track: Track, max_gap_s: float) -> Positions:
        """The positions at these moments, joined as the rows will be: a track of the video itself by media time, others by UTC."""
        if self.media_s is not None and np.isfinite(track.media_s).all():
            return positions(track, max_gap_s=max_gap_s, media_s=self.media_s)
        return positions(track, max_gap_s=max_gap_s, times_us=self.times_us)


@dataclass(frozen=True)
class ChosenTrack:
    """The track that fits (None where none does), what has to be said of those that don't, and whether tracks were `refused`
    because they disagree."""

    track: Track | None
    notes: tuple[str, ...]
    refused: bool = False


def track_files(path: Path, settings: TrackSettings) -> dict[TrackName, list[Path]]:
    """The track files that a source may use, by their kind: those that the settings name, and those beside it."""
    found: dict[TrackName, list[Path]] = {}
    if "files" in settings.order:
        found["files"] = [_named(f) for f in settings.files]
    if "sidecar" in settings.order:
        found["sidecar"] = [f for f in sidecars(path) if f not in found.get("files", [])]
    return found


def choose_track(
    files: dict[TrackName, list[Path]], own: Track | None, moments: Moments, settings: TrackSettings, timezone: str | None
) -> ChosenTrack:
    """The tracks, in the settings' order, that have positions at the footage's moments, as one.

    `own` is the track embedded in a video, or made of a folder's EXIF positions. What the first track leaves open the next may
    fill. Where two tracks lie far apart, none is taken: a wrong position is worse than none. Files that can't be read are
    named in the notes; those of `settings.files` were checked before (`check_files`).
    """
    notes: list[str] = []
    chosen: Track | None = None
    for track in _candidates(files, own, settings, timezone, notes):
        if real := dropped_text(track):
            notes.append(f"track {track.source}: {real}")
        here = moments.along(track, settings.max_gap_s)
        if not np.isfinite(here.latitude).any():
            notes.append(f"track {track.source} isn't used: it has {_span(track.time_us)}, the footage {_span(moments.times_us)}"
                         + (", which is in a gap of the track" if _around(track, moments) else ""))  # fmt: skip
        elif chosen is None:
            chosen = track
        else:
            apart = _apart_m(moments.along(chosen, settings.max_gap_s), here)
            if apart is not None and apart > APART_M:
                notes.append(
                    f"the tracks {chosen.source} and {track.source} are {apart / 1000:.1f} km apart, so neither is used: "
                    f"name the kinds to believe with track.order, such as [{_kind(track)}]"
                )
                return ChosenTrack(None, tuple(notes), True)
            both = merged(chosen, track, settings.max_gap_s)
            if len(clean(both, settings.max_speed_mps, 0.0, settings.max_gap_s)) < len(both):
                notes.append(f"track {track.source} isn't used: nothing drives from {chosen.source} to it in that time")
            else:
                chosen = both
    return ChosenTrack(chosen, tuple(notes))


def check_files(settings: TrackSettings, timezone: str | None) -> None:
    """Read the files that the settings name. Raises SourceError or ConfigError for one that can't be used at all."""
    for name in settings.files:
        stopping.check()
        path = _named(name)
        _read(path, _stamp(path), settings.model_dump_json(), timezone)


def dropped_text(track: Track) -> str:
    """What a track lost, and what was put in order, for people."""
    return ", ".join(f"{count} fixes {reason}" for reason, count in track.dropped.items())


def _candidates(
    files: dict[TrackName, list[Path]], own: Track | None, settings: TrackSettings, timezone: str | None, notes: list[str]
) -> Iterator[Track]:
    for kind in settings.order:
        if kind in {"embedded", "exif"}:
            if own is not None and (kind == "exif") == (own.source == "exif"):
                yield own
            continue
        for path in files.get(kind, []):
            try:
                yield _read(path, _stamp(path), settings.model_dump_json(), timezone)
            except SegpipeError as error:
                notes.append(f"track {path.name} isn't used: {error}")
            except Exception as error:  # noqa: BLE001 - a file that lies about must not end the run
                notes.append(f"track {path.name} isn't used: it can't be read ({one_line(error)})")


@lru_cache(maxsize=32)
def _read(path: Path, _stamp: tuple[int, int], settings: str, timezone: str | None) -> Track:
    """One file is read once in a run, however many clips it covers."""
    return read_track(path, TrackSettings.model_validate_json(settings), timezone)


def _named(name: str) -> Path:
    try:
        return Path(name).expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise ConfigError(f"track {name[:200]!r}: no such file ({error}); name a GPX, NMEA or CSV file") from None


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (-1, -1)
    return status.st_size, status.st_mtime_ns


def _apart_m(a: Positions, b: Positions) -> float | None:
    """The median distance in metres where both know a position; None where there is no such moment."""
    both = np.isfinite(a.latitude) & np.isfinite(b.latitude)
    if not both.any():
        return None
    return float(np.median(GEOD.inv(a.longitude[both], a.latitude[both], b.longitude[both], b.latitude[both])[2]))


def cleaned(track: Track | None, settings: TrackSettings) -> Track | None:
    """A track out of the footage itself, cleaned; None where nothing is left. Its times aren't shifted: they are the footage's."""
    found = None if track is None else clean(track, settings.max_speed_mps, 0.0, settings.max_gap_s)
    return found if found is not None and len(found) else None


def _kind(track: Track) -> str:
    kind = track.source.partition(":")[0]
    return kind if kind in {"embedded", "exif"} else "files"


def _around(track: Track, moments: Moments) -> bool:
    known, fixes = moments.times_us[moments.times_us != NO_TIME], track.time_us[track.time_us != NO_TIME]
    return bool(len(known) and len(fixes) and fixes.min() <= known.max() and fixes.max() >= known.min())


def _span(times_us: Int64) -> str:
    known = times_us[times_us != NO_TIME]
    if not len(known):
        return "no known time"
    first, last = (datetime.fromtimestamp(int(t) / 1e6, UTC).isoformat(timespec="seconds") for t in (known.min(), known.max()))
    return f"{first.replace('+00:00', 'Z')} to {last.replace('+00:00', 'Z')}"
