"""Durations, moments and sizes as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_UNITS_S = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_UNITS_B = {
    "": 1,
    "b": 1,
    "k": 1e3,
    "kb": 1e3,
    "kib": 2**10,
    "m": 1e6,
    "mb": 1e6,
    "mib": 2**20,
    "g": 1e9,
    "gb": 1e9,
    "gib": 2**30,
}


def seconds_of(text: str) -> float:
    """Seconds of a duration such as 90, 90s, 30m, 8h or 1h30m. Raises ValueError."""
    plain = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", plain):
        plain += "s"
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", plain)
    total = sum(float(n) * _UNITS_S[u] for n, u in parts)
    if "".join(n + u for n, u in parts) != plain or not total:
        raise ValueError(f"{text!r} is no duration; give it as 90s, 30m, 8h or 1h30m")
    return total


def utc_of(text: str) -> datetime:
    """A moment with its zone, such as 2026-05-01T18:00:00Z, in UTC. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError(f"{text!r} is no moment with a zone; give it as 2026-05-01T18:00:00Z")
    return moment.astimezone(UTC)


def bytes_of(text: str) -> int:
    """Bytes of a size such as 500MB, 2GB or 1GiB. Raises ValueError."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]*)", text.strip().lower())
    if found is None or found[2] not in _UNITS_B or float(found[1]) <= 0:
        raise ValueError(f"{text!r} is no size; give it as 500MB or 2GB")
    return int(float(found[1]) * _UNITS_B[found[2]])
