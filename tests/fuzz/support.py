"""What the properties share: files with made-up content, and a bound on memory."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from segpipe.telemetry.clean import clean
from segpipe.telemetry.track import ARRAYS, Track

try:
    import resource
except ImportError:  # not a POSIX system
    resource = None  # type: ignore[assignment]

LITTLE = 300_000_000
"""Bytes that a parser may take for some kilobytes of input; libraries that it loads count too."""


@contextlib.contextmanager
def file_of(content: bytes, suffix: str = "") -> Iterator[Path]:
    """A file with this content, for as long as it is looked at."""
    with tempfile.NamedTemporaryFile(suffix=suffix) as file:
        file.write(content)
        file.flush()
        yield Path(file.name)


@contextlib.contextmanager
def little_memory(most: int = LITTLE) -> Iterator[None]:
    """Within it, who asks for more than `most` bytes gets a MemoryError (on Linux)."""
    before = resource.getrlimit(resource.RLIMIT_DATA) if resource else (0, 0)
    statm = Path("/proc/self/statm")
    if not resource or not statm.exists():
        yield
        return
    taken = int(statm.read_text().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    limits = [taken + most, *(n for n in before if n != resource.RLIM_INFINITY)]
    resource.setrlimit(resource.RLIMIT_DATA, (min(limits), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, before)


def check_track(track: Track) -> None:
    """What holds for any track that a reader gives, and for what is left of it by `clean`: numbers
    are numbers, or NaN for unknown."""
    for name in ARRAYS:
        assert len(getattr(track, name)) == len(track)
        if name not in {"time_us", "latitude", "longitude"}:
            assert not np.isinf(getattr(track, name)).any(), name
    assert all(count > 0 for count in track.dropped.values())
    cleaned = clean(track, max_speed_mps=100.0)
    assert len(cleaned) <= len(track)
    assert (np.diff(cleaned.seconds()) > 0).all()
    assert (np.abs(cleaned.latitude) <= 90).all()
    assert (np.abs(cleaned.longitude) <= 180).all()
