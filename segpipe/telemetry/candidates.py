"""The tracks that footage may have: those that are named, those beside it, its own."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from segpipe.core.config.time_and_place import TrackName, TrackSettings
from segpipe.core.errors import ConfigError, SegpipeError, one_line
from segpipe.runtime import stopping
from segpipe.telemetry.read import read_track, sidecars
from segpipe.telemetry.track import Track


def track_files(
    path: Path, settings: TrackSettings, follow_links: bool = False
) -> dict[TrackName, list[Path]]:
    """The track files that a source may use, by their kind: those that the settings name, and those
    beside it, links out of its folder only with `follow_links`."""
    found: dict[TrackName, list[Path]] = {}
    if "files" in settings.order:
        found["files"] = [_named(f) for f in settings.files]
    if "sidecar" in settings.order:
        beside = sidecars(path, follow_links)
        found["sidecar"] = [f for f in beside if f not in found.get("files", [])]
    return found


def check_files(settings: TrackSettings, timezone: str | None) -> None:
    """Read the files that the settings name. Raises SourceError or ConfigError for one that can't
    be used at all."""
    for name in settings.files:
        stopping.check()
        path = _named(name)
        _read(path, _stamp(path), settings.model_dump_json(), timezone)


def candidates(
    files: dict[TrackName, list[Path]],
    own: Track | None,
    settings: TrackSettings,
    timezone: str | None,
    notes: list[str],
) -> Iterator[Track]:
    """The tracks in the settings' order, `own` among them. For each file that can't be read, a note
    is added."""
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
        raise ConfigError(
            f"track {name[:200]!r}: no such file ({error}); name a GPX, NMEA or CSV file"
        ) from None


def _stamp(path: Path) -> tuple[int, int]:
    try:
        status = path.stat()
    except OSError:
        return (-1, -1)
    return status.st_size, status.st_mtime_ns
