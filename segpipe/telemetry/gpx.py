"""GPX files: the track points and route points with a time."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import gpxpy
from gpxpy.gpx import GPXRoutePoint, GPXTrackPoint

from segpipe.core.errors import SourceError
from segpipe.runtime.isolation import heartbeat
from segpipe.telemetry.speeds import with_likely_unit
from segpipe.telemetry.track import METRES_PER_DOP, Track

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HEAD_BYTES = 4096
_PATIENCE_S, _PATIENCE_S_PER_MB = 5.0, 2.0
"""gpxpy reads some 4 MB a second, in one call. Its XML parser gives no sign for a fifth of that
time, whatever is done here."""


def read_gpx(path: Path) -> Track:
    """Read the points of a GPX file's tracks and routes, in the order of the file; waypoints mark
    places and aren't read.

    Times are UTC by the GPX standard, those without a zone too. Points without a time or without a
    fix are dropped and counted. Speed and course (degrees) come from GPX 1.0 or from extensions,
    Garmin's among them; accuracy from hdop. Speeds are m/s by the standard; those that the
    positions show to be km/h, knots or mph are converted, with a note. Raises SourceError where the
    file isn't GPX, is empty, or no point has a time.
    """
    gpx = _parse(path)
    timed, lost = _timed(gpx, path)
    motion = [_motion(p) for p in timed]
    track = Track.of(
        f"gpx:{path.name}",
        [p.latitude for p in timed],
        [p.longitude for p in timed],
        time_us=[_microseconds(p.time) for p in timed if p.time is not None],
        altitude_m=[p.elevation for p in timed],
        speed_mps=[m.get("speed") for m in motion],
        heading_deg=[m.get("course") for m in motion],
        accuracy_m=[
            None if p.horizontal_dilution is None else p.horizontal_dilution * METRES_PER_DOP
            for p in timed
        ],
        dropped={reason: count for reason, count in lost.items() if count},
    )
    return with_likely_unit(track)


def _timed(gpx: Any, path: Path) -> tuple[list[GPXTrackPoint | GPXRoutePoint], dict[str, int]]:
    """The points that have a time and a fix, and how many were lost for which reason. Raises
    SourceError where there is none."""
    routes = itertools.chain.from_iterable(route.points for route in gpx.routes)
    tracks = itertools.chain.from_iterable(
        segment.points for track in gpx.tracks for segment in track.segments
    )
    points: list[GPXTrackPoint | GPXRoutePoint] = [*tracks, *routes]
    timed = [p for p in points if p.time is not None and p.type_of_gpx_fix != "none"]
    void = sum(p.time is not None for p in points) - len(timed)
    if not points:
        raise SourceError(
            f"{path}: the GPX file holds no track or route points; give one that has tracks "
            "(<trkpt>)"
        )
    if void and not timed:
        raise SourceError(
            f"{path}: none of the {len(points)} points has a fix (<fix>none</fix>), so there are "
            "no positions"
        )
    if not timed:
        raise SourceError(
            f"{path}: none of the {len(points)} points has a time, so none can be placed in the "
            "footage;"
            " record the track with times (planned routes have none), or give positions another way"
        )
    return timed, {"without a time": len(points) - len(timed) - void, "without a fix": void}


def _parse(path: Path) -> Any:
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
            if not head.strip():
                raise SourceError(f"{path}: the file is empty; give a GPX file with track points")
            # Looked at before the rest is read: a film named .gpx by mistake may be gigabytes.
            if b"<" not in head:
                raise SourceError(
                    f"{path}: is not XML, so no GPX file; give a GPX file with track points"
                )
            data = head + file.read()
        with heartbeat.meanwhile(_PATIENCE_S + _PATIENCE_S_PER_MB * len(data) / 1e6):
            return gpxpy.parse(_text(data))
    except OSError as error:
        raise SourceError(f"{path}: can't be read ({error.strerror})") from None
    except SourceError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged file makes gpxpy raise XML errors, ValueError, AttributeError and more
        said = " ".join(str(error).split())[:160]
        raise SourceError(
            f"{path}: can't be read as GPX ({said}); export it again from where it was recorded"
        ) from None


def _text(data: bytes) -> str:
    """The file as text: UTF-8 unless it begins with the mark of UTF-16 (gpxpy itself assumes
    UTF-8)."""
    return data.decode("utf-16" if data[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8", "replace")


def _microseconds(time: datetime) -> int:
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return (aware - EPOCH) // timedelta(microseconds=1)


def _motion(point: GPXTrackPoint | GPXRoutePoint) -> dict[str, float]:
    """`speed` in m/s and `course` in degrees, as far as the point has them."""
    heartbeat()
    found: dict[str, float] = {}
    for name in ("speed", "course"):
        value = getattr(point, name, None)
        if value is not None:
            found[name] = float(value)
    for extension in point.extensions:
        for element in extension.iter():
            name = str(element.tag).rpartition("}")[2].rpartition(":")[2].lower()
            name = "course" if name == "bearing" else name
            if name in {"speed", "course"} and name not in found:
                try:
                    found[name] = float(element.text or "")
                except ValueError:
                    continue
    return found
