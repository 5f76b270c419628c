"""JSON that a stranger may have written: read so far as a file of segpipe's goes."""

from __future__ import annotations

import json
from typing import Any

MOST_DEPTH = 32
"""Lists and objects within each other; a manifest has six."""


def parse_json(text: str | bytes) -> Any:
    """What JSON says. Raises ValueError for what is no JSON, or is nested too deeply to be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(f"nested more than {MOST_DEPTH} deep") from None


def read_json(text: str | bytes) -> Any:
    """What JSON says, if it isn't nested more than `MOST_DEPTH` deep. Raises ValueError."""
    content = parse_json(text)
    level = [content]
    for _ in range(MOST_DEPTH):
        level = [
            part
            for value in level
            if isinstance(value, (dict, list))
            for part in (value.values() if isinstance(value, dict) else value)
            if isinstance(part, (dict, list))
        ]
        if not level:
            return content
    raise ValueError(f"nested more than {MOST_DEPTH} deep")
