"""The models that come with segpipe."""

from __future__ import annotations

from pathlib import Path

BUILTIN = Path(__file__).parent / "weights"


def builtin_names() -> list[str]:
    """Names of the embedded models."""
    return sorted(p.parent.name for p in BUILTIN.glob("*/config.json"))
