"""Telemetry of the many other cameras, through the exiftool program where it is installed."""

from __future__ import annotations

import contextlib
import json
import math
import shutil
import subprocess
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from segpipe.core.errors import SourceError
from segpipe.runtime import stopping
from segpipe.runtime.isolation import heartbeat
from segpipe.telemetry.exif_place import SPEED_MPS
from segpipe.telemetry.rate import utc_of_fixes
from segpipe.telemetry.time_map import Rate
from segpipe.telemetry.track import NO_TIME, Track

TIMEOUT_S = 120.0
_POLL_S = 0.5
_TAGS = (
    "GPSDateTime",
    "GPSLatitude",
    "GPSLongitude",
    "GPSAltitude",
    "GPSTrack",
    "GPSSpeed",
    "GPSSpeedRef",
    "GPSStatus",
    "SampleTime",
    "SampleDuration",
)
_OPTIONS = ("-ee", "-n", "-j", "-q", "-q", "-a", "-G3:4", "-api", "LargeFileSupport=1")
_NO_CONFIG = ("-config", "")
"""A configuration of exiftool is a Perl program, and it is run. This has to come first."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_Fix = dict[str, float]


def exiftool_track(path: Path, origin_s: float) -> Track | None:
    """What `exiftool -ee` finds of fixes in a video, media times counted from `origin_s` seconds;
    None where it finds none.

    GPSDateTime is UTC. Several fixes of one sample are spread evenly over its duration. GPSSpeed is
    taken only beside its unit, GPSSpeedRef: without one it is in km/h, knots or m/s, depending on
    the camera. Fixes with GPSStatus V (void) are dropped and counted. None too where the program
    isn't installed or fails. Raises SourceError where it takes more than TIMEOUT_S seconds.
    """
    tags = _run(path)
    documents = [d for d in _documents(tags) if d.get("GPSLatitude")]
    fixes = [fix for document in documents if not _void(document) for fix in _fixes(document)]
    if not fixes:
        return None
    void = sum(len(d["GPSLatitude"]) for d in documents if _void(d))
    column = {name: np.array([fix[name] for fix in fixes]) for name in fixes[0]}
    media_s = column["media_s"] - origin_s
    utc = np.array([NO_TIME if math.isnan(t) else round(t) for t in column["utc_us"]], np.int64)
    time_us, rate = utc_of_fixes(utc, media_s) if np.isfinite(media_s).all() else (utc, Rate())
    track = Track.of(
        "embedded:exiftool",
        column["latitude"],
        column["longitude"],
        time_us=time_us,
        media_s=media_s,
        altitude_m=column["altitude"],
        speed_mps=column["speed"],
        heading_deg=column["heading"],
        dropped={"without a fix": void} if void else {},
    )
    return replace(track, rate=rate)


def _run(path: Path) -> dict[str, Any]:
    program = shutil.which("exiftool")
    if program is None:
        return {}
    tags = (f"-{tag}" for tag in _TAGS)
    command = [program, *_NO_CONFIG, *_OPTIONS, *tags, "--", str(path.absolute())]
    try:
        found = json.loads(_output(command) or b"[]")
    except (OSError, ValueError):
        return {}
    return found[0] if isinstance(found, list) and found and isinstance(found[0], dict) else {}


def _output(command: list[str]) -> bytes:
    """What a program writes, started in an empty folder. It is no sign of hanging that it takes its
    time, up to TIMEOUT_S; then, or when the run is asked to end, it is ended. It is of this
    process's group, and goes with it."""
    until = time.monotonic() + TIMEOUT_S
    with (
        tempfile.TemporaryDirectory(prefix="segpipe-exiftool-") as empty,
        subprocess.Popen(  # noqa: S603 - a program and flags of ours, and no shell
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=empty,
        ) as process,
    ):
        try:
            while time.monotonic() < until:
                heartbeat()
                stopping.check()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    return process.communicate(timeout=_POLL_S)[0]
        finally:
            process.kill()
    raise SourceError(
        f"exiftool took more than {TIMEOUT_S:g} s and was ended, so a track inside the video "
        "isn't known"
    )


def _documents(tags: dict[str, Any]) -> Iterator[dict[str, list[Any]]]:
    """The values of each tag, sample by sample in the order of the file. A part of a sample
    (Doc3-1) has the sample's time."""
    documents: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for key, value in tags.items():
        document, tag = key.partition(":")[0], key.rpartition(":")[2]
        if document.startswith("Doc"):  # what stands in Main is the place of the whole file
            documents[document][tag].append(value)
    for name, document_tags in documents.items():
        for tag in ("SampleTime", "SampleDuration"):
            parent = documents.get(name.partition("-")[0], {})
            if tag not in document_tags and tag in parent:
                document_tags[tag] = parent[tag]
        yield document_tags


def _fixes(document: dict[str, list[Any]]) -> Iterator[_Fix]:
    latitudes, longitudes = document.get("GPSLatitude", []), document.get("GPSLongitude", [])
    count = len(latitudes)
    if not count or len(longitudes) != count:
        return
    start, duration = (
        _number(next(iter(document.get(tag, [])), None)) for tag in ("SampleTime", "SampleDuration")
    )
    times = document.get("GPSDateTime", [])
    for i in range(count):
        heartbeat()
        share = duration * i / count if i else 0.0
        own_time = times[i] if len(times) == count else times[0] if times and i == 0 else None
        fix = {"latitude": _number(latitudes[i]), "longitude": _number(longitudes[i])}
        for name, tag in (("altitude", "GPSAltitude"), ("heading", "GPSTrack")):
            values = document.get(tag, [])
            fix[name] = _number(values[i]) if len(values) == count else math.nan
        fix["speed"] = _speed(document, i, count)
        yield {**fix, "media_s": start + share, "utc_us": _utc_us(own_time)}


def _void(document: dict[str, list[Any]]) -> bool:
    return any(str(status).strip().upper()[:1] == "V" for status in document.get("GPSStatus", []))


def _speed(document: dict[str, list[Any]], i: int, count: int) -> float:
    """Metres a second of the i-th of `count` fixes, NaN where its unit isn't said."""
    speeds, units = document.get("GPSSpeed", []), document.get("GPSSpeedRef", [])
    if len(speeds) != count or not units:
        return math.nan
    unit = str(units[i] if len(units) == count else units[0]).strip().upper()[:1]
    return _number(speeds[i]) * SPEED_MPS.get(unit, math.nan)


def _utc_us(text: Any) -> float:
    """Microseconds since 1970 of `2019:11:18 23:45:14.000`, NaN where it is no time."""
    try:
        day, _, clock = str(text).strip().rstrip("Z").partition(" ")
        time = datetime.fromisoformat(f"{day.replace(':', '-')}T{clock}")
    except ValueError:
        return math.nan
    aware = time if time.tzinfo else time.replace(tzinfo=UTC)
    return float((aware - _EPOCH) // timedelta(microseconds=1))


def _number(value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return math.nan
    return number if math.isfinite(number) else math.nan
