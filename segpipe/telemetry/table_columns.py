"""Which columns of a table hold a track."""

from __future__ import annotations

from pathlib import Path

from segpipe.core.errors import ConfigError
from segpipe.telemetry.speeds import UNITS, speed_column

KNOWN = {
    "time": ("time", "timestamp", "datetime", "utc", "gps_time"),
    "latitude": ("latitude", "lat"),
    "longitude": ("longitude", "lon", "lng", "long"),
    "altitude_m": ("altitude_m", "altitude", "elevation", "ele", "alt"),
    "speed_mps": ("speed_mps",),
    "speed_kmh": ("speed_kmh",),
    "speed_kn": ("speed_kn",),
    "speed_mph": ("speed_mph",),
    "speed": ("speed", "velocity"),
    "heading_deg": ("heading_deg", "heading", "course", "bearing"),
    "accuracy_m": ("accuracy_m", "accuracy", "hacc"),
}
"""What a track has, and the column names that it is known by, in lower case. Speeds are known by
their units in other spellings, too (`speed (km/h)`, `knots`); those of a column `speed`, which says
none, are compared with the positions."""


REQUIRED = ("time", "latitude", "longitude")


def find_columns(path: Path, header: list[str], columns: dict[str, str]) -> dict[str, int]:
    """The place of each known column in a header. Raises ConfigError where a named or a required
    one isn't there."""
    listed = ", ".join(header)
    names = [h.strip() for h in header]
    lower = [n.casefold() for n in names]
    wrong = [key for key in columns if key not in KNOWN]
    if wrong:
        raise ConfigError(f"track.columns has the key {wrong[0]!r}; there are {', '.join(KNOWN)}")
    places = {}
    for key, well_known in KNOWN.items():
        wanted = columns.get(key)
        if wanted is not None:
            if wanted in names or wanted.casefold() in lower:
                places[key] = (
                    names.index(wanted) if wanted in names else lower.index(wanted.casefold())
                )
                continue
            raise ConfigError(
                f"{path}: has no column {wanted!r} for {key}; its columns are {listed}"
            )
        found = [lower.index(name) for name in well_known if name in lower]
        found += [i for i, name in enumerate(lower) if key in UNITS and speed_column(name) == key]
        if found:
            places[key] = found[0]
    missing = [key for key in REQUIRED if key not in places]
    if missing:
        raise ConfigError(
            f"{path}: no column for {', '.join(missing)}; its columns are {listed}: name them in "
            "track.columns"
        )
    return places
