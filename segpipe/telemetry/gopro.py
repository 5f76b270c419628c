"""GoPro's telemetry (GPMF): payloads in a data stream of the MP4, one for about each second of
video."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from segpipe.telemetry.gpmf import Samples, gps9_samples
from segpipe.telemetry.rate import utc_of_fixes
from segpipe.telemetry.track import METRES_PER_DOP, NO_TIME, Float64, Track

_FIX, _DOP, _UTC = "0x47505346", "0x47505350", "0x47505355"
"""The tags GPSF, GPSP and GPSU, which telemetry_parser names by their bytes."""
_MAX_PAYLOAD_BYTES = 4_000_000


@dataclass(frozen=True)
class Payloads:
    """The payloads in the file, in order: start and duration of each in seconds, float64 [P];
    `places` their (offset, size)."""

    start_s: Float64
    duration_s: Float64
    places: list[tuple[int, int]]


def gopro_track(
    path: Path, container: av.container.InputContainer, origin_s: float
) -> Track | None:
    """The fixes of a GoPro video, media times counted from `origin_s` (seconds in the container's
    clock); None where it is none.

    The fixes of a payload are spread evenly over its duration. Those without a lock are dropped and
    counted. `accuracy_m` is the dilution of precision times METRES_PER_DOP.
    """
    payloads = find_payloads(path, container)
    if payloads is None:
        return None
    camera, samples = _parsed(path)
    if not any(samples):
        # Cameras since the HERO13 write GPS9 only, which telemetry_parser doesn't decode.
        camera, samples = camera or "gopro", [gps9_samples(data) for data in _read(path, payloads)]
    timed = _timed(samples, payloads)
    if not timed:
        return None
    media_s = (
        np.concatenate(
            [start + duration * np.arange(len(s.dop)) / len(s.dop) for s, start, duration in timed]
        )
        - origin_s
    )
    values = np.concatenate([s.values for s, _, _ in timed])
    locked = np.concatenate([s.locked for s, _, _ in timed])
    utc_us = np.where(locked, np.concatenate([s.utc_us for s, _, _ in timed]), NO_TIME)
    time_us, rate = utc_of_fixes(utc_us, media_s)
    track = Track.of(
        f"embedded:{camera}",
        values[:, 0],
        values[:, 1],
        media_s=media_s,
        time_us=time_us,
        altitude_m=values[:, 2],
        speed_mps=values[:, 3],
        accuracy_m=np.concatenate([s.dop for s, _, _ in timed]) * METRES_PER_DOP,
    )
    return replace(track.take(locked, "without a fix"), rate=rate)


def find_payloads(path: Path, container: av.container.InputContainer) -> Payloads | None:
    """The stream whose payloads begin as GPMF does, from the container's table; nothing else of the
    file is read."""
    with path.open("rb") as file:
        for stream in container.streams.data:
            entries = list(stream.index_entries)
            if not entries or not stream.time_base:
                continue
            file.seek(entries[0].pos)
            if file.read(4) != b"DEVC":
                continue
            base = float(stream.time_base)
            times = np.array([e.timestamp for e in entries], np.float64)
            last = (stream.duration or 0) - (times[-1] - times[0])
            usual = float(np.median(np.diff(times))) if len(times) > 1 else 1.0 / base
            lengths = np.append(np.diff(times), last if 0 < last <= 2 * usual else usual)
            return Payloads(times * base, lengths * base, [(e.pos, e.size) for e in entries])
    return None


def _read(path: Path, payloads: Payloads) -> list[bytes]:
    found = []
    with path.open("rb") as file:
        for offset, size in payloads.places:
            file.seek(offset)
            found.append(file.read(min(size, _MAX_PAYLOAD_BYTES)))
    return found


def _parsed(path: Path) -> tuple[str, list[Samples | None]]:
    """The camera and what telemetry_parser makes of each payload, None for one without GPS."""
    try:
        import telemetry_parser  # type: ignore[import-untyped]

        parser = telemetry_parser.Parser(str(path))
        # The file's own settings stand before the payloads.
        entries = [e for e in parser.telemetry() if set(e) - {"Default"}]
        return str(parser.camera or "gopro").lower(), [_samples(e.get("GPS")) for e in entries]
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException:  # noqa: BLE001 - not installed, or damaged data: a panic of its Rust code is no Exception
        return "", []


def _samples(gps: Any) -> Samples | None:
    try:
        scale = np.asarray(gps["Scale"], np.float64)
        values = np.asarray(gps["Data"], np.float64)[:, : len(scale)] / scale
        count = len(values)
        utc_us = int(gps[_UTC]) * 1000 if _UTC in gps else NO_TIME
        return Samples(
            values[:, :4],
            np.full(count, gps.get(_FIX, 3) in {2, 3}),
            np.full(count, gps.get(_DOP, np.nan) / 100.0),
            # The time is that of the first fix; the others' follows from the media times.
            np.append(np.int64(utc_us), np.full(count - 1, NO_TIME)),
            gps.get("TimestampUs"),
        )
    except (KeyError, TypeError, ValueError, IndexError):
        return None


def _timed(samples: list[Samples | None], payloads: Payloads) -> list[tuple[Samples, float, float]]:
    """The payloads with GPS, each with its start and duration in seconds; by the camera's own clock
    where their number isn't the file's."""
    if len(samples) == len(payloads.places):
        rows = zip(samples, payloads.start_s, payloads.duration_s, strict=True)
        return [(s, float(start), float(duration)) for s, start, duration in rows if s is not None]
    found = [(s, s.stamp_us / 1e6) for s in samples if s is not None and s.stamp_us is not None]
    if not found:
        return []
    starts = np.array([stamp for _, stamp in found]) - found[0][1] + payloads.start_s[0]
    lengths = np.append(
        np.diff(starts), np.median(np.diff(starts)) if len(starts) > 1 else payloads.duration_s[0]
    )
    return [
        (s, float(start), float(length))
        for (s, _), start, length in zip(found, starts, lengths, strict=True)
    ]
