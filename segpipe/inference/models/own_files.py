"""The files of this machine that a model is loaded from, told from its URI: nothing is loaded."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qsl

from segpipe.inference.models.builtin import BUILTIN


def own_files(source: str) -> list[Path]:
    """The files behind a model's URI, by name, those that aren't there included; none for what
    comes from a hub or a library, which only its loader can tell."""
    scheme, colon, name = source.partition(":")
    if scheme == "builtin":
        return _in_folder(BUILTIN / name)
    path, _, query = (name if colon else source).partition("?")
    if not path:
        return []  # not those of the working folder
    options = dict(parse_qsl(query))
    named = [Path(options[key]).expanduser() for key in ("weights", "classes") if key in options]
    return sorted([*_in_folder(Path(path).expanduser()), *named])


def _in_folder(folder: Path) -> list[Path]:
    try:
        return sorted(p for p in folder.iterdir() if p.is_file())
    except OSError:
        return []
