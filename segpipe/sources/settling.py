"""Files that are still being written: a camera or a copy isn't done with them."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from segpipe.runtime import stopping
from segpipe.sources.known_files import FoundFile
from segpipe.sources.places import stamp

_NS = 1_000_000_000
_UNFINISHED_NS = 600 * _NS
"""A container without its index that was changed so recently may be in the making; later it is a
damaged file, and recorded as one. So far may another machine's clock be ahead, too."""
_FIRST_BOXES = frozenset({b"ftyp", b"wide", b"free", b"skip", b"mdat", b"moov", b"uuid", b"pnot"})
"""What an ISO base media file (ISO/IEC 14496-12) or a QuickTime film begins with."""
_INDEX_BOXES = frozenset({b"moov", b"moof"})
"""Where the index is: of a film, or of a part of one."""
_STILL = frozenset(
    {b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"msf1", b"avif", b"avis"}
)
"""Brands of pictures (HEIC, AVIF), which have an index of another kind."""
_MOST_BOXES = 4096


def unsettled(files: Sequence[FoundFile], settle_s: float) -> list[FoundFile]:
    """Those of the files whose size or time changes within `settle_s`, and those changed lately
    that have no index yet. Waits for the younger ones, at most `settle_s`."""
    now_ns = time.time_ns()
    lately = [f for f in files if abs(now_ns - f.mtime_ns) < _UNFINISHED_NS]
    young = [f for f in lately if now_ns - f.mtime_ns < settle_s * _NS]
    if young:
        youngest_s = (now_ns - max(f.mtime_ns for f in young)) / _NS
        wait(settle_s - max(0.0, youngest_s))
    changed = [f for f in young if _has_changed(f)]
    lately = [f for f in lately if f not in changed]
    return changed + [f for f in lately if not has_index(f.path)]


def wait(seconds: float) -> None:
    """Wait, but not after the run was asked to end."""
    stopping.STOP.wait(seconds)


def has_index(path: Path) -> bool:
    """Whether an MP4 or QuickTime file has its index, the box `moov`; True for other files, and for
    those that can't be read."""
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            place = 0
            for _ in range(_MOST_BOXES):
                file.seek(place)
                header = file.read(16)
                kind = header[4:8]
                if place == 0 and (kind not in _FIRST_BOXES or header[8:12] in _STILL):
                    return True
                if kind in _INDEX_BOXES:
                    return True
                if len(header) < 8 or not _is_name(kind):
                    return False
                length = int.from_bytes(header[:4], "big")
                length = int.from_bytes(header[8:16], "big") if length == 1 else length
                place += length or size
                if (length and length < 8) or place >= size:
                    return False
    except OSError:
        pass
    return True


def _is_name(kind: bytes) -> bool:
    """Whether a box may be called so: room that a writer has set aside holds zeros."""
    return all(0x20 <= byte < 0x7F or byte == 0xA9 for byte in kind)


def _has_changed(file: FoundFile) -> bool:
    now = stamp(file.path)
    return (now.size_bytes, now.mtime_ns) != (file.size_bytes, file.mtime_ns)
