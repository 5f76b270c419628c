"""What an input stands for: a path that was named, or what a pattern matches."""

from __future__ import annotations

import glob
import itertools
import os
from pathlib import Path

from segpipe.core.errors import SourceError
from segpipe.core.redact import redact
from segpipe.sources.known_files import KnownFiles
from segpipe.sources.not_read import is_copy
from segpipe.sources.places import resolved
from segpipe.sources.walking import Found, by_name, is_readable_kind


def expand(text: str, found: Found, known: KnownFiles) -> list[tuple[Path, bool]]:
    """What an input stands for, each with whether it was named itself; what a pattern matches
    beside footage is counted. Nothing, where footage was once and has gone. Raises SourceError."""
    if not text.strip():
        raise SourceError("an input is empty: name a file, a folder or a pattern")
    try:
        path = Path(text).expanduser()
        if path.exists():
            return [(path, True)]
    except (OSError, RuntimeError) as error:  # a name that is too long, a home that doesn't exist
        raise SourceError(f"{text[:200]}: no such file or folder ({error})") from None
    gone = "://" not in text and known.below(_fixed_part(path))
    if any(c in text for c in "*?["):
        footage, others = _matches(path, found)
        if footage or gone:
            return [(m, False) for m in footage]
        said = f"{others} other files"
        if found.outside:
            said += f"; {found.not_read().describe()}"
        raise SourceError(f"{text}: the pattern matches no image, video or folder ({said})")
    if "://" in text:
        raise SourceError(
            f"{redact(text)}: only local files and folders can be read; copy the footage here first"
        )
    if gone:
        return []
    raise SourceError(f"{text}: no such file or folder")


def _matches(path: Path, found: Found) -> tuple[list[Path], int]:
    """Footage and folders that a pattern matches, and how much else it does. What lies behind links
    outside of the folder that the pattern names isn't among them. Raises SourceError."""
    try:
        matches = [Path(m) for m in sorted(glob.glob(str(path), recursive=True))]
    except RecursionError:
        raise SourceError(
            f"{path}: the folders lie too deep in each other for a pattern; name a folder instead"
        ) from None
    inside = Path(_fixed_part(path))
    matches = [m for m in matches if found.may_follow(m, inside)]
    footage = [
        m
        for m in matches
        if os.path.isdir(m) or (by_name(m) and not is_copy(m) and is_readable_kind(m))
    ]
    if footage:
        for match in set(matches).difference(footage):
            if is_copy(match) or not by_name(match):
                found.skip(match)
    return footage, len(matches) - len(footage)


def _fixed_part(path: Path) -> str:
    """The absolute path, as far as no pattern begins."""
    parts = itertools.takewhile(lambda part: not any(c in part for c in "*?["), path.parts)
    return str(resolved(Path(*parts)))
