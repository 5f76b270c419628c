"""Track files: which reader a file is for, and which files lie beside the footage."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from segpipe.core.config.time_and_place import TrackSettings
from segpipe.core.errors import SourceError
from segpipe.telemetry.clean import clean
from segpipe.telemetry.nmea import looks_like_nmea, read_nmea
from segpipe.telemetry.table import looks_like_track, read_csv
from segpipe.telemetry.track import Track

NMEA = (".nmea", ".nme", ".log", ".txt")
KNOWN = (".gpx", *NMEA, ".csv")


def read_track(path: Path, settings: TrackSettings, timezone: str | None = None) -> Track:
    """Read a track file by its extension and clean it.

    `timezone` is the zone of a CSV's times that don't say theirs. Raises SourceError where the file
    can't be read, is of no known kind, or no fix is left of it; ConfigError where a CSV's columns
    or zone aren't known.
    """
    kind = path.suffix.lower()
    if kind == ".gpx":
        from segpipe.telemetry.gpx import read_gpx  # Here, for few runs need it

        found = read_gpx(path)
    elif kind in NMEA:
        found = read_nmea(path)
    elif kind == ".csv":
        found = read_csv(path, settings.columns, timezone)
    else:
        raise SourceError(
            f"{path}: {kind or 'no extension'} is no known kind of track; there are "
            f"{', '.join(KNOWN)}"
        )
    track = clean(found, settings.max_speed_mps, settings.offset_s, settings.max_gap_s)
    if not len(track):
        said = (
            "; ".join(f"{count} {reason}" for reason, count in track.dropped.items())
            or "it holds none"
        )
        raise SourceError(
            f"{path}: no fix is left of the track ({said}); give a track with times and positions"
        )
    return track


def sidecars(path: Path, follow_links: bool = False) -> list[Path]:
    """The track files that belong to a video or to a folder of images, sorted; none where the
    folder can't be read.

    Beside a video: files with its stem or its whole name (`clip.gpx`, `clip.mp4.gpx`) in any case;
    a .csv, .log or .txt only if it holds a track. For a folder of images: every .gpx, .nmea or .nme
    in it. A link that leads out of the folder is none of them, except with `follow_links`.
    """
    folder = path if path.is_dir() else path.parent
    try:
        files = _track_names(folder, folder.stat().st_mtime_ns)
        if not follow_links:
            inside = folder.resolve()
            files = tuple(f for f in files if not f.is_symlink() or _leads_into(f, inside))
    except OSError:
        return []
    if path.is_dir():
        return [f for f in files if f.suffix.lower() in {".gpx", ".nmea", ".nme"} and f.is_file()]
    names = {path.stem.casefold(), path.name.casefold()}
    return [
        f
        for f in files
        if f != path and f.stem.casefold() in names and f.is_file() and _is_track(f)
    ]


def _leads_into(link: Path, folder: Path) -> bool:
    try:
        return link.resolve().is_relative_to(folder)
    except RuntimeError:  # it leads in a circle
        return False


@lru_cache(maxsize=64)
def _track_names(folder: Path, _mtime_ns: int) -> tuple[Path, ...]:
    """The files of a folder that a track could be by their name; listed once for all the clips in
    it. Names with a dot before them are what macOS leaves on cards."""
    return tuple(
        sorted(
            f for f in folder.iterdir() if not f.name.startswith(".") and f.suffix.lower() in KNOWN
        )
    )


def _is_track(path: Path) -> bool:
    kind = path.suffix.lower()
    if kind == ".csv":
        return looks_like_track(path)
    if kind in {".log", ".txt"}:
        return looks_like_nmea(path)
    return kind in KNOWN
