"""What lies among the footage and isn't read: counted by extension, and told once a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from segpipe.core.text import printable_text

COPIES = frozenset({".lrv", ".lrf"})
"""Low-resolution copies that action cameras and drones write beside each clip."""
_COPY_NAME, _COPY_LIKE = "lrv_", frozenset({".insv", ".mp4"})
"""Insta360's copies have the extension of the clip, and this before their name."""
_SIDE_FILES = frozenset(
    {
        ".gpx",
        ".nmea",
        ".nme",
        ".csv",
        ".log",
        ".txt",
        ".md",
        ".json",
        ".geojson",
        ".xml",
        ".xmp",
        ".yaml",
        ".yml",
        ".ini",
        ".srt",
        ".vtt",
        ".thm",
        ".aae",
        ".db",
        ".cpi",
        ".mpl",
        ".bdm",
        ".ifo",
        ".bup",
        ".wav",
        ".mp3",
        ".m4a",
        ".aac",
        ".pdf",
        ".html",
        ".parquet",
    }
)
"""Tracks, subtitles, sound and lists: no pictures."""
_NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class NotRead:
    """Absolute paths of what was found and not taken: files, folders behind links, folders with
    `.segpipeignore`, links that lead out of the input's folder, and folders whose own folders lie
    too deep."""

    files: frozenset[str] = frozenset()
    linked: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    outside: frozenset[str] = frozenset()
    deep: frozenset[str] = frozenset()

    def without(self, paths: Iterable[Path]) -> NotRead:
        """The same without what was read after all, such as tracks."""
        return replace(self, files=self.files - {str(p) for p in paths})

    def __bool__(self) -> bool:
        return any((self.files, self.linked, self.ignored, self.outside, self.deep))

    def describe(self) -> str:
        """One line: first what may be footage, most frequent first; then the folders; then files
        that hold no pictures. Empty where everything was read."""
        kinds = Counter(_kind(path) for path in self.files)
        order = sorted(kinds.items(), key=lambda pair: (-pair[1], pair[0]))
        parts = [_counted(n, kind) for kind, n in order if kind not in _SIDE_FILES]
        parts += _folders(self.linked, "linked folder", "linked folders")
        parts += _folders(self.ignored, "folder with .segpipeignore", "folders with .segpipeignore")
        parts += _folders(
            self.outside, "link out of the input folder", "links out of the input folder"
        )
        parts += _folders(self.deep, "folder nested too deep", "folders nested too deep")
        side = ", ".join(_counted(n, kind) for kind, n in order if kind in _SIDE_FILES)
        if side:
            parts.append(f"and beside the footage {side}" if parts else side)
        hint = "; follow_links: true follows links" if self.outside else ""
        return f"not read: {', '.join(parts)}{hint}" if parts else ""


def is_copy(path: Path) -> bool:
    """Whether a file is, by its name, a camera's low-resolution copy of a clip beside it."""
    suffix = path.suffix.lower()
    return suffix in COPIES or (suffix in _COPY_LIKE and path.name.lower().startswith(_COPY_NAME))


def _kind(path: str) -> str:
    """The extension in lower case; of a copy that has a clip's extension, its beginning too."""
    plain = Path(path)
    suffix = plain.suffix.lower()
    return f"LRV_*{suffix}" if is_copy(plain) and suffix not in COPIES else suffix


def _counted(count: int, kind: str) -> str:
    if not kind:
        return f"{count} without an extension"
    copies = kind in COPIES or kind.startswith("LRV_*")
    return printable_text(f"{count} {kind}" + (" (low-resolution copies)" if copies else ""))


def _folders(paths: frozenset[str], one: str, more: str) -> list[str]:
    if not paths:
        return []
    names = sorted({Path(p).name for p in paths})
    shown = ", ".join(names[:_NAMES_SHOWN]) + (", …" if len(names) > _NAMES_SHOWN else "")
    return [printable_text(f"{len(paths)} {one if len(paths) == 1 else more} ({shown})")]
